//! One setting, and what is known of it.

use super::default::Rule;
use super::risk::Risk;

/// What a setting is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The end of a connection: FIN_WAIT2, TIME_WAIT, orphans.
    Closing,
    /// Asking again: keepalive, retransmission, handshakes.
    Probing,
    /// Queues of listeners and of packets.
    Queues,
    /// Local ports.
    Ports,
    /// Buffers and memory.
    Buffers,
    /// Options of the protocol.
    Options,
    /// Files of the host.
    Files,
    /// Connection tracking of netfilter.
    Tracking,
}

/// For whom a setting holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each network namespace has its own.
    Namespace,
    /// The whole host; only the first network namespace shows it, or it is not of the network.
    Host,
    /// The whole host; other network namespaces show it and cannot change it.
    HostShown,
}

impl Scope {
    /// In words.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Namespace => "each network namespace has its own",
            Self::Host => "one for the whole host",
            Self::HostShown => {
                "one for the whole host; other network namespaces show it and cannot change it"
            }
        }
    }
}

/// A setting that kernels have no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The first version without it; `None`: no kernel that tcptrace runs on has it.
    pub since: Option<(u32, u32)>,
    /// Why it went.
    pub why: &'static str,
}

/// A setting.
#[derive(Clone, Copy, Debug)]
pub struct Sysctl {
    /// As sysctl(8) spells it.
    pub name: &'static str,
    /// What it is about.
    pub topic: Topic,
    /// What it really does.
    pub does: &'static str,
    /// What the pages advise, and what is wrong or right with that.
    pub advice_says: &'static str,
    /// When a change really helps.
    pub helps: &'static str,
    /// What a change can break.
    pub harm: &'static str,
    /// Where these facts come from. Files without a folder are documents of the kernel.
    pub source: &'static str,
    /// For whom it holds.
    pub scope: Scope,
    /// How its default is known.
    pub default: Rule,
    /// Whether kernels have it no more.
    pub gone: Option<Gone>,
    /// Values that are known to do harm.
    pub risks: &'static [Risk],
}

impl Sysctl {
    /// The last part of its name.
    #[must_use]
    pub fn short_name(&self) -> &'static str {
        self.name.rsplit('.').next().unwrap_or(self.name)
    }

    /// Whether kernels of this version have it no more.
    #[must_use]
    pub fn gone_in(&self, version: (u32, u32)) -> Option<&'static str> {
        let gone = self.gone?;
        gone.since.is_none_or(|since| version >= since).then_some(gone.why)
    }
}

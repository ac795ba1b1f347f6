//! What the outputs of `states` get.

use std::net::IpAddr;

use super::key::{By, Counts, Key};
use super::{Holders, Process};
use crate::lifecycle::report::Degradation;
use crate::lifecycle::socket::State;

/// What sockets were counted for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyName {
    /// All sockets.
    All,
    /// Remote address; `None`: listeners, which have none.
    Remote(Option<IpAddr>),
    /// Local port; `None`: the kernel has forgotten it.
    LocalPort(Option<u16>),
    /// Process; `None`: no process holds them.
    Process(Option<Process>),
    /// Inode number of the network namespace.
    Netns(u32),
}

impl KeyName {
    /// The name of a key.
    #[must_use]
    pub fn of(key: Key, holders: &Holders) -> Self {
        match key {
            Key::All => Self::All,
            Key::Remote(addr) => Self::Remote(addr),
            Key::LocalPort(port) => Self::LocalPort(port),
            Key::Process(place) => {
                Self::Process(place.map(|place| holders.processes()[place as usize].clone()))
            }
            Key::Netns(netns) => Self::Netns(netns),
        }
    }
}

/// Sockets of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyCounts {
    /// The key.
    pub key: KeyName,
    /// How many there are in each state.
    pub counts: Counts,
}

/// One count of `states`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CensusReport {
    /// When the kernel was asked, wall clock, ns since 1970.
    pub checked_at_ns: u64,
    /// How long the kernel took to tell, ns: the sockets were counted one after the other.
    pub took_ns: u64,
    /// What sockets were counted by.
    pub by: By,
    /// States that the user asked for, in the order of life.
    pub states: Vec<State>,
    /// The counts of each key, most first.
    pub keys: Vec<KeyCounts>,
    /// Most keys to show; `None`: all.
    pub top: Option<usize>,
    /// All sockets, each once.
    pub total: Counts,
    /// Sockets that count for several processes.
    pub shared: u64,
    /// Sockets of connections of MPTCP, which are not in the counts.
    pub mptcp: u64,
    /// Network namespaces whose sockets were counted.
    pub namespaces: u64,
    /// Network namespaces that could not be read.
    pub namespaces_unread: u64,
    /// What this host lacks.
    pub degradations: Vec<Degradation>,
    /// Kernel release.
    pub kernel: String,
}

impl CensusReport {
    /// The keys to show, and those to leave out.
    #[must_use]
    pub fn shown(&self) -> (&[KeyCounts], &[KeyCounts]) {
        let count = self.top.unwrap_or(usize::MAX).min(self.keys.len());
        self.keys.split_at(count)
    }
}

//! What was seen of the host: twice what counts, once what is there.

use std::collections::{BTreeMap, HashMap};

use super::counters::Counters;
use super::finding::Culprit;
use super::ports::Ephemeral;
use super::tally::Tally;
use crate::lifecycle::report::{Degradation, Leak};

/// Everything that an examination goes by.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// When it was seen, ns since 1970.
    pub wall_ns: u64,
    /// Time between the two samples, ns.
    pub window_ns: u64,
    /// Kernel release.
    pub kernel: String,
    /// The whole host.
    pub host: HostFacts,
    /// Network namespaces, the own one first.
    pub namespaces: Vec<Namespace>,
    /// Processes that have descriptors open.
    pub processes: Vec<Process>,
    /// Who holds a socket, by its inode number; places in [`Self::processes`].
    pub holders: HashMap<u32, Vec<u32>>,
    /// Leaks with the names of their processes; `None`: they could not be looked for.
    pub leaks: Option<Vec<Leak>>,
    /// From which age on a socket in CLOSE_WAIT counts, ns.
    pub min_age_ns: u64,
    /// From when on a connection is idle, ns.
    pub min_idle_ns: u64,
    /// Whether what concerns the whole host is to be judged, or some namespaces alone.
    pub is_whole_host: bool,
    /// What could not be seen.
    pub unseen: Vec<Degradation>,
}

/// Facts about the whole host. `None`: not to be had.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Open files.
    pub files: Option<u64>,
    /// `fs.file-max`.
    pub files_max: Option<u64>,
    /// Sockets without a process.
    pub orphans: Option<u64>,
    /// Pages that all TCP sockets take.
    pub memory_pages: Option<u64>,
    /// Bytes of a mini-socket (`tw_sock_TCP` in `/proc/slabinfo`).
    pub mini_socket_bytes: Option<u64>,
    /// Memory of the host, bytes.
    pub memory_bytes: Option<u64>,
    /// Bytes of a page.
    pub page_bytes: u64,
    /// Sysctls that are not a network namespace's, by name.
    pub sysctls: BTreeMap<String, String>,
}

/// A network namespace.
#[derive(Clone, Debug, Default)]
pub struct Namespace {
    /// Inode number.
    pub inode: u32,
    /// Whether doctor itself runs in it.
    pub is_own: bool,
    /// A path that leads into it, fit for a command line.
    pub place: Option<String>,
    /// Its sysctls, by name.
    pub sysctls: BTreeMap<String, String>,
    /// Its counters at the first sample; empty: not to be had.
    pub before: Counters,
    /// Its counters at the second one; empty: not to be had.
    pub after: Counters,
    /// Its sockets at the second one; `None`: they could not be read.
    pub tally: Option<Tally>,
}

/// A process that has descriptors open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Start on the boot clock, clock ticks: with `pid` the identity of the process.
    pub start_ticks: u64,
    /// Name, not escaped yet.
    pub comm: String,
    /// Open descriptors at the first sample, where it was there.
    pub fds_before: Option<u64>,
    /// Open descriptors at the second one.
    pub fds: Option<u64>,
    /// Soft limit of descriptors; `u64::MAX`: none.
    pub fd_limit: Option<u64>,
    /// Hard limit of descriptors; `u64::MAX`: none.
    pub fd_hard_limit: Option<u64>,
    /// TCP sockets that it holds; `None`: not known.
    pub sockets: Option<u64>,
}

impl Facts {
    /// The processes that hold any of these sockets, and how many of them, the most first.
    #[must_use]
    pub fn holders_of(&self, inodes: &[u32]) -> Vec<(&Process, u64)> {
        let mut counts: BTreeMap<u32, u64> = BTreeMap::new();
        for place in inodes.iter().filter_map(|inode| self.holders.get(inode)).flatten() {
            *counts.entry(*place).or_default() += 1;
        }
        let mut holders: Vec<_> = counts
            .into_iter()
            .filter_map(|(place, count)| Some((self.processes.get(place as usize)?, count)))
            .collect();
        holders.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        holders
    }

    /// The same as culprits with one part in it.
    #[must_use]
    pub fn blame(&self, inodes: &[u32], part: &str) -> Vec<Culprit> {
        let holders = self.holders_of(inodes);
        holders.into_iter().map(|(process, _)| process.culprit(part)).collect()
    }

    /// The network namespaces whose sockets could be read.
    pub fn read_namespaces(&self) -> impl Iterator<Item = (&Namespace, &Tally)> {
        self.namespaces.iter().filter_map(|own| Some((own, own.tally.as_ref()?)))
    }
}

impl Process {
    /// This one, with its part in something.
    #[must_use]
    pub fn culprit(&self, part: impl Into<String>) -> Culprit {
        Culprit { pid: Some(self.pid), comm: self.comm.clone(), part: part.into() }
    }
}

impl Namespace {
    /// A sysctl that is one number.
    #[must_use]
    pub fn number(&self, sysctl: &str) -> Option<u64> {
        self.sysctls.get(sysctl)?.parse().ok()
    }

    /// How much a counter grew between the samples.
    #[must_use]
    pub fn grown(&self, protocol: &str, name: &str) -> Option<u64> {
        let (before, after) = (self.before.get(protocol, name)?, self.after.get(protocol, name)?);
        Some(after.saturating_sub(before))
    }

    /// The ports that the kernel gives out.
    #[must_use]
    pub fn ephemeral(&self) -> Option<Ephemeral> {
        let reserved = self.sysctls.get("net.ipv4.ip_local_reserved_ports");
        let range = self.sysctls.get("net.ipv4.ip_local_port_range")?;
        Ephemeral::parse(range, reserved.map_or("", String::as_str))
    }

    /// A command that does something in this namespace; `None`: no way into it is known.
    #[must_use]
    pub fn command(&self, command: &str) -> Option<String> {
        if self.is_own {
            return Some(command.to_owned());
        }
        Some(format!("nsenter --net={} {command}", self.place.as_ref()?))
    }

    /// The command that sets one of its sysctls.
    #[must_use]
    pub fn set(&self, sysctl: &str, value: &str) -> Option<String> {
        self.command(&format!("sysctl -w {sysctl}='{value}'"))
    }
}

//! What only a process itself can tell about it.

use super::report::{Holder, Party};

/// What was learned of a process. Each part can be missing: no permission, or the process is just
/// ending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Path of the executable as the process itself sees it.
    pub exe: Option<String>,
    /// What the process runs in the words of its command line.
    pub label: Option<String>,
    /// Effective user id.
    pub uid: Option<u32>,
    /// Path in the cgroup hierarchy.
    pub cgroup: Option<String>,
    /// Container id.
    pub container: Option<String>,
    /// Open descriptors.
    pub fd_used: Option<u64>,
    /// Soft limit of open descriptors; `u64::MAX`: unlimited.
    pub fd_limit: Option<u64>,
    /// It is stopped by a signal or a debugger.
    pub stopped: bool,
    /// It has ended; the id may be another's by now.
    pub gone: bool,
}

impl Details {
    /// The process with this id, start on the boot clock, ns, and name.
    #[must_use]
    pub fn into_party(self, pid: u32, start_time_ns: u64, comm: &str) -> Party {
        Party {
            pid,
            tid: None,
            comm: comm.to_owned(),
            exe: self.exe,
            label: self.label,
            uid: self.uid,
            start_time_ns,
            cgroup: self.cgroup,
            container: self.container,
            stopped: self.stopped,
            gone: self.gone,
        }
    }

    /// The details in a process that has them.
    #[must_use]
    pub fn of_party(party: &Party) -> Self {
        Self {
            exe: party.exe.clone(),
            label: party.label.clone(),
            uid: party.uid,
            cgroup: party.cgroup.clone(),
            container: party.container.clone(),
            fd_used: None,
            fd_limit: None,
            stopped: party.stopped,
            gone: party.gone,
        }
    }

    /// [`Self::of_party`] with what is known of its descriptors.
    #[must_use]
    pub fn of_holder(holder: &Holder) -> Self {
        let (fd_used, fd_limit) = (holder.fd_used, holder.fd_limit);
        Self { fd_used, fd_limit, ..Self::of_party(&holder.party) }
    }
}

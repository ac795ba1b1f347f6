//! What `/proc` says about a process: names for the numbers that the kernel side gives.
//!
//! Everything comes from the process's own entry, so it is right wherever its mount namespace is.
//! Processes vanish at any moment: what cannot be read any more is `None`, never an error.

pub mod cgroup;
pub mod descendants;
pub mod everyone;
pub mod fds;
pub mod label;
pub mod place;
mod read;
pub mod selection;
mod stat;
pub mod status;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::errand::{self, What};
use crate::lifecycle::details::Details;
use crate::lifecycle::report::{Holder, Party};
use crate::lifecycle::stat::{Stat, TickLength};

/// Processes looked up for one report, each at most once. Make a new one for the next report:
/// a process may have called exec or changed its limits since.
#[derive(Debug)]
pub struct Processes {
    proc: PathBuf,
    ticks: TickLength,
    known: HashMap<Identity, Details>,
}

/// A process id alone is reused; with the start on the boot clock, ns, it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Identity {
    pid: u32,
    start_time_ns: u64,
}

impl Processes {
    /// None looked up yet; reads `/proc`.
    #[must_use]
    pub fn new() -> Self {
        Self { proc: PathBuf::from("/proc"), ticks: stat::tick_length(), known: HashMap::new() }
    }

    /// The process with this id and start. Where it is gone, or its id now belongs to another one,
    /// the answer has just what was given, and says so.
    pub fn party(&mut self, pid: u32, start_time_ns: u64, comm: &str) -> Party {
        self.details(pid, start_time_ns).clone().into_party(pid, start_time_ns, comm)
    }

    /// The same process as one that has descriptors `fds` open.
    pub fn holder(&mut self, pid: u32, start_time_ns: u64, comm: &str, fds: Vec<u32>) -> Holder {
        let details = self.details(pid, start_time_ns).clone();
        let (fd_used, fd_limit) = (details.fd_used, details.fd_limit);
        Holder { party: details.into_party(pid, start_time_ns, comm), fds, fd_used, fd_limit }
    }

    /// What the process with this id and start on the boot clock, ns, tells of itself.
    pub fn details(&mut self, pid: u32, start_time_ns: u64) -> &Details {
        let (proc, ticks) = (&self.proc, self.ticks);
        let identity = Identity { pid, start_time_ns };
        self.known.entry(identity).or_insert_with(|| look_up(proc, identity, ticks))
    }
}

impl Default for Processes {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads all of it. The start is compared before and after, so nothing of a process that reused
/// the id gets in.
fn look_up(proc: &Path, identity: Identity, ticks: TickLength) -> Details {
    let dir = proc.join(identity.pid.to_string());
    let start_ticks = ticks.of(identity.start_time_ns);
    let stat = || stat::read(&dir);
    let is_meant = |stat: &Stat| stat.start_ticks == start_ticks;
    let details = stat().filter(is_meant).map(|stat| read_all(&dir, identity.pid, &stat));
    match (details, stat()) {
        (Some(details), Some(stat)) if is_meant(&stat) => details,
        (_, Some(_)) => Details { gone: true, ..Details::default() },
        // Not to be read is not gone: `/proc` can hide the processes of others.
        (_, None) => Details { gone: !exists(identity.pid), ..Details::default() },
    }
}

fn read_all(dir: &Path, pid: u32, stat: &Stat) -> Details {
    let exe = read::link(&dir.join("exe"));
    let label = label(dir, pid, exe.clone(), stat.comm.clone());
    let place = cgroup::read(dir).unwrap_or_default();
    Details {
        label,
        exe,
        uid: status::effective_uid(dir),
        cgroup: place.path,
        container: place.container,
        fd_used: fds::used(dir),
        fd_limit: fds::soft_limit(dir),
        stopped: stat.stopped,
        gone: false,
    }
}

/// Its arguments and its working directory may lie where nobody answers.
fn label(dir: &Path, pid: u32, exe: Option<String>, comm: Vec<u8>) -> Option<String> {
    let dir = dir.to_owned();
    errand::run(pid, What::Arguments, move || label::read(&dir, exe.as_deref(), &comm)).ok()?
}

/// Whether any process has this id.
fn exists(pid: u32) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: signal 0 is not sent, only whether it could be is looked at.
    let status = unsafe { libc::kill(pid, 0) };
    status == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

#[cfg(test)]
mod tests;

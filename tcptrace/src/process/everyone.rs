//! Every process that there is, and its descriptors.

use std::fs;
use std::path::{Path, PathBuf};

use super::{fds, stat};
use crate::doctor::facts::Process;
use crate::lifecycle::text::from_bytes;

/// Other processes with descriptors, as far as this one may look at them. What is not known of one is
/// `None`; kernel threads have none and are not among them.
#[must_use]
pub fn everyone() -> Vec<Process> {
    let others = pids().filter(|pid| *pid != std::process::id());
    others.filter_map(|pid| look_at(pid, &directory(pid))).collect()
}

/// The ids of all processes.
pub(super) fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn directory(pid: u32) -> PathBuf {
    Path::new("/proc").join(pid.to_string())
}

fn look_at(pid: u32, dir: &Path) -> Option<Process> {
    let stat = stat::read(dir)?;
    let (fd_limit, fd_hard_limit) = fds::limits(dir);
    Some(Process {
        pid,
        start_ticks: stat.start_ticks,
        comm: from_bytes(&stat.comm),
        fds: Some(fds::used(dir)?),
        fd_limit,
        fd_hard_limit,
        ..Process::default()
    })
}

/// Inode numbers of the sockets that a process has descriptors for, as far as it may be looked at.
#[must_use]
pub fn socket_inodes(pid: u32) -> Vec<u32> {
    let descriptors = fs::read_dir(directory(pid).join("fd")).into_iter().flatten().flatten();
    let inode = |path: PathBuf| {
        let target = fs::read_link(path).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    descriptors.filter_map(|entry| inode(entry.path())).collect()
}

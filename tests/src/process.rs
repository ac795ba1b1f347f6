//! What `/proc` says about processes.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// The executable of a process.
pub fn exe(pid: u32) -> Result<PathBuf> {
    fs::read_link(format!("/proc/{pid}/exe")).with_context(|| format!("exe of {pid}"))
}

/// The name of the thread-group leader.
pub fn comm(pid: u32) -> Result<String> {
    let raw = fs::read(format!("/proc/{pid}/comm")).with_context(|| format!("comm of {pid}"))?;
    Ok(String::from_utf8_lossy(raw.strip_suffix(b"\n").unwrap_or(&raw)).into_owned())
}

/// Start time in clock ticks since boot: with the pid, the identity of a process.
pub fn start_ticks(pid: u32) -> Result<u64> {
    let stat = fs::read(format!("/proc/{pid}/stat")).with_context(|| format!("stat of {pid}"))?;
    let stat = String::from_utf8_lossy(&stat);
    let after_comm = stat.rsplit_once(") ").context("no comm in stat")?.1;
    Ok(after_comm.split(' ').nth(19).context("short stat")?.parse()?)
}

/// Whether a process runs. One that has ended and waits for its parent does not.
pub fn runs(pid: u32) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let stat = String::from_utf8_lossy(&stat);
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

/// Open descriptors and the soft limit on them.
pub fn fd_use(pid: u32) -> Result<(u64, u64)> {
    let used = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
    let limits = fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line = limits.lines().find(|line| line.starts_with("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().nth(3)).context("no fd limit")?;
    Ok((used as u64, soft.parse()?))
}

/// Every (pid, fd) that has this socket open.
pub fn holders(inode: u64) -> Result<BTreeSet<(u32, i32)>> {
    let wanted = PathBuf::from(format!("socket:[{inode}]"));
    let mut found = BTreeSet::new();
    for pid in pids()? {
        // Processes come and go while this reads.
        let Ok(fds) = fs::read_dir(format!("/proc/{pid}/fd")) else {
            continue;
        };
        for fd in fds.flatten() {
            if fs::read_link(fd.path()).is_ok_and(|target| target == wanted) {
                found.insert((pid, fd.file_name().to_string_lossy().parse()?));
            }
        }
    }
    Ok(found)
}

/// The inode of the socket behind a descriptor.
pub fn socket_inode(pid: u32, fd: i32) -> Result<Option<u64>> {
    let target = fs::read_link(format!("/proc/{pid}/fd/{fd}"))
        .with_context(|| format!("fd {fd} of {pid}"))?;
    let target = target.to_string_lossy();
    let inode = target.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
    inode.map(|inode| Ok(inode.parse()?)).transpose()
}

fn pids() -> Result<Vec<u32>> {
    let entries = fs::read_dir("/proc")?.flatten();
    Ok(entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd;

    #[test]
    fn finds_this_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (pid, fd) = (std::process::id(), listener.as_raw_fd());
        let inode = socket_inode(pid, fd).unwrap().unwrap();
        assert_eq!(holders(inode).unwrap(), BTreeSet::from([(pid, fd)]));
        assert!(runs(pid) && !runs(u32::MAX));
        assert!(start_ticks(pid).unwrap() > 0);
        assert!(fd_use(pid).unwrap().0 > 3);
    }
}

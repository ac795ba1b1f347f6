//! What is read of the whole host.

use std::collections::BTreeMap;
use std::fs;

use crate::doctor::counters::Counters;
use crate::doctor::facts::HostFacts;

/// Reads it. `counters` and `sysctls` are those of the own network namespace: what all namespaces
/// share is in each.
pub fn look(counters: &Counters, sysctls: BTreeMap<String, String>) -> HostFacts {
    let files = fs::read_to_string("/proc/sys/fs/file-nr").unwrap_or_default();
    let mut files = files.split_whitespace().map(|number| number.parse().ok());
    let (used, _, most) = (files.next(), files.next(), files.next());
    HostFacts {
        files: used.flatten(),
        files_max: most.flatten(),
        orphans: counters.get("TCP", "orphan"),
        memory_pages: counters.get("TCP", "mem"),
        mini_socket_bytes: mini_socket_bytes(),
        memory_bytes: memory_bytes(),
        page_bytes: page_bytes(),
        sysctls,
    }
}

/// `tw_sock_TCP` in `/proc/slabinfo`, which root alone may read: name, active objects, all objects,
/// bytes of one.
fn mini_socket_bytes() -> Option<u64> {
    let slabs = fs::read_to_string("/proc/slabinfo").ok()?;
    let slab = slabs.lines().find_map(|line| line.strip_prefix("tw_sock_TCP "))?;
    slab.split_whitespace().nth(2)?.parse().ok()
}

/// Memory of the host.
pub fn memory_bytes() -> Option<u64> {
    let memory = fs::read_to_string("/proc/meminfo").ok()?;
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(total.split_whitespace().next()?.parse::<u64>().ok()? << 10)
}

/// Bytes of a page.
pub fn page_bytes() -> u64 {
    // SAFETY: sysconf reads a constant and takes no pointer.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096)
}

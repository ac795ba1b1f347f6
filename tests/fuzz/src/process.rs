//! What `/proc` says of a process, most of which the process chose.

use std::path::Path;

use tcptrace::lifecycle::stat::Stat;
use tcptrace::lifecycle::text::{from_bytes, from_padded, is_hazard, visible};
use tcptrace::process::{cgroup, fds, label, status};
use tcptrace::stacks::mappings;

/// The small files.
pub fn proc(bytes: &[u8]) {
    let _ = Stat::parse(bytes);
    let _ = cgroup::parse(bytes);
    let _ = fds::parse_soft_limit(bytes);
    for (name, nth) in [("Uid:", 1), ("Tgid:", 0)] {
        let _ = status::number(bytes, name, nth);
    }
}

/// Command lines of all sorts of programs.
pub fn label(bytes: &[u8]) {
    let comm = bytes.get(..15).unwrap_or(bytes);
    let nowhere = Path::new("/proc/0");
    for exe in ["/usr/bin/python3", "/usr/bin/java", "/usr/bin/node", "/bin/sh", "/opt/php", "/x"] {
        let _ = label::of(nowhere, Some(exe), comm, bytes);
    }
    let _ = label::of(nowhere, Some(&from_bytes(comm)), comm, bytes);
}

/// The memory map.
pub fn maps(bytes: &[u8]) {
    let mappings = mappings::parse(bytes);
    for mapping in &mappings {
        assert!(mapping.start < mapping.end);
        for address in [mapping.start, mapping.end - 1, mapping.end] {
            let _ = (mapping.file_offset(address), mappings::find(&mappings, address));
        }
    }
}

/// Any name on its way to a terminal.
pub fn text(bytes: &[u8]) {
    for name in [from_bytes(bytes), from_padded(bytes)] {
        let shown = visible(&name);
        assert!(!shown.contains(is_hazard), "{shown:?}");
    }
}

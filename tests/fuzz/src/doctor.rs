//! What `doctor` reads: somebody's advice, and files of the kernel in case they are not what they were.

use tcptrace::doctor::counters::Counters;
use tcptrace::doctor::ports::Ephemeral;
use tcptrace::doctor::sysctl::file::{LINES, check};
use tcptrace::doctor::sysctl::{KernelFacts, find};

/// A file of settings.
pub fn sysctl_file(bytes: &[u8]) {
    let kernel = KernelFacts {
        version: (6, 18),
        ehash_entries: Some(262_144),
        memory_bytes: Some(1 << 34),
        page_size: 4096,
    };
    let value = String::from_utf8_lossy(bytes);
    let values = [None, Some("1".to_owned()), Some(value.chars().take(64).collect())];
    for value in values {
        let lines = check(bytes, &|_| value.clone(), &kernel, &[]);
        assert!(lines.len() <= LINES + 2, "{} lines", lines.len());
        for line in &lines {
            assert!(line.sysctl.is_none() || find(&line.name).is_some(), "{line:?}");
        }
    }
}

/// Counters and ranges of ports.
pub fn counters(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut counters = Counters::default();
    counters.add_pairs(&text);
    counters.add_named(&text);
    let _ = (counters.get("TCP", "mem"), counters.get("TcpExt", "ListenDrops"));
    let (range, reserved) = text.split_once('\n').unwrap_or((&text, ""));
    if let Some(ports) = Ephemeral::parse(range, reserved) {
        let (low, high) = ports.ends();
        assert!(ports.count() <= u64::from(high.saturating_sub(low)) + 1);
    }
}

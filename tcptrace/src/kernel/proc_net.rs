//! Counters and sysctls of the network namespace that the calling thread is in.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::doctor::counters::Counters;

/// Longer than a value is: lists of reserved ports are the longest.
const LONGEST: usize = 64 << 10;

/// Reads the counters. What this kernel does not have is not there.
#[must_use]
pub fn counters() -> Counters {
    let mut counters = Counters::default();
    let read = |name| fs::read_to_string(Path::new("/proc/thread-self/net").join(name));
    for name in ["netstat", "snmp"] {
        counters.add_pairs(&read(name).unwrap_or_default());
    }
    counters.add_named(&read("sockstat").unwrap_or_default());
    counters
}

/// Reads the sysctls with these names, as sysctl(8) spells them; the kernel shows each thread those
/// of its own namespace. White space becomes single blanks. What is not there or may not be read is
/// left out.
#[must_use]
pub fn sysctls<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, String> {
    let mut buffer = vec![0; LONGEST];
    let value = |name: &str| {
        let text = value(&path(name), &mut buffer)?;
        Some((name.to_owned(), text.split_whitespace().collect::<Vec<_>>().join(" ")))
    };
    names.into_iter().filter_map(value).collect()
}

/// The kernel gives a value to one read, and nothing to the next: what did not fit is lost. What
/// fills the buffer may be cut, and counts as not known.
fn value(path: &Path, buffer: &mut [u8]) -> Option<String> {
    let length = File::open(path).ok()?.read(buffer).ok()?;
    let text = buffer.get(..length).filter(|text| text.len() < LONGEST)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

fn path(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name.replace('.', "/"))
}

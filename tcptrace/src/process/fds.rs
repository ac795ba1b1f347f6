//! How many descriptors a process has open, and how many it may have.

use std::fs;
use std::path::Path;

use super::read;

/// The file has 17 lines of fixed width.
const LIMITS_BYTES: u64 = 8192;

/// Open descriptors. Since Linux 6.2 the size of `/proc/PID/fd` is their number; before, it is 0
/// and they have to be counted. `None` for none at all: this process holds sockets, so what does not
/// show them is a main thread that has ended before the others.
#[must_use]
pub fn used(dir: &Path) -> Option<u64> {
    let dir = dir.join("fd");
    let used = match fs::metadata(&dir).ok()?.len() {
        0 => u64::try_from(fs::read_dir(dir).ok()?.count()).ok()?,
        size => size,
    };
    (used > 0).then_some(used)
}

/// Soft limit of open descriptors; `u64::MAX`: none.
#[must_use]
pub fn soft_limit(dir: &Path) -> Option<u64> {
    limits(dir).0
}

/// Soft limit of open descriptors, and the hard one, up to which the process may lift the other;
/// `u64::MAX`: none.
#[must_use]
pub fn limits(dir: &Path) -> (Option<u64>, Option<u64>) {
    let text = read::bytes(&dir.join("limits"), LIMITS_BYTES).unwrap_or_default();
    (parse_soft_limit(&text), parse_limit(&text, 1))
}

/// Soft limit of open descriptors in the text of `/proc/PID/limits`; `u64::MAX`: none.
#[must_use]
pub fn parse_soft_limit(limits: &[u8]) -> Option<u64> {
    parse_limit(limits, 0)
}

/// The soft limit is the first, the hard one the second.
fn parse_limit(limits: &[u8], nth: usize) -> Option<u64> {
    const NAME: &[u8] = b"Max open files";
    let line = limits.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(NAME))?;
    match std::str::from_utf8(line).ok()?.split_ascii_whitespace().nth(nth)? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_soft_limit_is_the_first_number() {
        let limits =
            b"Limit                     Soft Limit           Hard Limit           Units     \n\
            Max processes             7                    7                    processes \n\
            Max open files            1024                 524288               files     \n";
        assert_eq!(parse_soft_limit(limits), Some(1024));
        assert_eq!(parse_limit(limits, 1), Some(524_288));
        let none =
            b"Max open files            unlimited            unlimited            files     \n";
        assert_eq!(parse_soft_limit(none), Some(u64::MAX));
        assert_eq!(parse_soft_limit(b"Max open files"), None);
        assert_eq!(parse_soft_limit(b""), None);
    }
}

//! `/proc/PID/status`: ids of users and thread groups.

use std::path::Path;

use super::read;

/// The lines that are read come first; what may be long (groups, CPU masks) comes later.
const STATUS_BYTES: u64 = 4096;

/// Effective user id.
#[must_use]
pub fn effective_uid(dir: &Path) -> Option<u32> {
    number(&read::bytes(&dir.join("status"), STATUS_BYTES)?, "Uid:", 1)
}

/// The process that the task with this directory belongs to.
#[must_use]
pub fn thread_group(dir: &Path) -> Option<u32> {
    number(&read::bytes(&dir.join("status"), STATUS_BYTES)?, "Tgid:", 0)
}

/// The `nth` number on the line that starts with `name`. The kernel escapes newlines in the
/// process's name, so a name cannot make up a line.
#[must_use]
pub fn number(status: &[u8], name: &str, nth: usize) -> Option<u32> {
    let line =
        status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(name.as_bytes()))?;
    std::str::from_utf8(line).ok()?.split_ascii_whitespace().nth(nth)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_where_the_kernel_puts_them() {
        let status = b"Name:\tUid:\\n\xff\nTgid:\t42\nPid:\t43\nUid:\t1000\t0\t1\t2\n";
        assert_eq!(number(status, "Uid:", 1), Some(0));
        assert_eq!(number(status, "Tgid:", 0), Some(42));
        assert_eq!(number(status, "Gid:", 0), None);
        assert_eq!(number(b"Uid:\t1000", "Uid:", 1), None);
        assert_eq!(number(b"", "Uid:", 1), None);
    }
}

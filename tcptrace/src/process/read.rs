//! Bounded reads below `/proc`.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::lifecycle::text;

/// The first `limit` bytes of a file; `None` when it cannot be read.
pub fn bytes(path: &Path, limit: u64) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path).ok()?.take(limit).read_to_end(&mut content).ok()?;
    Some(content)
}

/// The target of a link as the kernel says it, with ` (deleted)` where it does so.
pub fn link(path: &Path) -> Option<String> {
    let target = fs::read_link(path).ok()?;
    Some(text::from_bytes(target.as_os_str().as_bytes()))
}

//! Which version of which file.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;

/// Which version of which file: what was learned of one holds while this is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileId {
    dev: u64,
    ino: u64,
    len: u64,
    mtime: (i64, i64),
}

impl FileId {
    /// That of the file that `data` is about.
    #[must_use]
    pub fn of(data: &Metadata) -> Self {
        let mtime = (data.mtime(), data.mtime_nsec());
        Self { dev: data.dev(), ino: data.ino(), len: data.len(), mtime }
    }

    /// Its inode number.
    #[must_use]
    pub const fn inode(&self) -> u64 {
        self.ino
    }

    /// Its length, bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.len
    }
}

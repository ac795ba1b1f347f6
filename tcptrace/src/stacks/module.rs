//! A file that code was loaded from.

use std::fs::File;

use super::file_id::FileId;

/// An executable file or library, kept open: it can be read after the process has gone and the
/// file was deleted.
#[derive(Debug)]
pub struct Module {
    /// As the process names it.
    pub path: String,
    /// GNU build id.
    pub build_id: Option<Vec<u8>>,
    /// Which file it was when it was opened.
    pub id: FileId,
    /// The open file; `/proc/self/fd/N` leads to it.
    pub file: File,
}

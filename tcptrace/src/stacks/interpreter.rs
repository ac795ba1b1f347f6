//! Where frames of interpreters join in: the two questions that a stack's owner asks of them.

use tcptrace_common::stack::{PythonFrame, PythonLayout};

use super::mappings::Mapping;
use super::raw::PythonPlace;

/// How the kernel side walks the Python frames of a process. Asked once for each program image;
/// [`PythonLayout::default`]: it is no CPython that is known.
#[must_use]
pub fn layout(_pid: u32, _mappings: &[Mapping]) -> PythonLayout {
    PythonLayout::default()
}

/// The names of the Python frames of a record, read from the process while it is there.
#[must_use]
pub fn places(_pid: u32, _tag: u32, _frames: &[PythonFrame]) -> Vec<PythonPlace> {
    Vec::new()
}

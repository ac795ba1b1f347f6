//! A stack of places in files, without names.

use std::sync::Arc;

use tcptrace_common::memory::Task;

use super::module::Module;
use crate::lifecycle::stack::StackStatus;

/// What an address lies in.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A file, at this offset in it.
    File(Arc<Module>, u64),
    /// A file with this path that could not be opened, at this offset in it.
    Unopened(Arc<str>, u64),
    /// Executable memory without a file: code made at run time.
    Jit,
    /// The kernel's vDSO.
    Vdso,
    /// No executable mapping that is known.
    Unknown,
}

/// One frame of machine code.
#[derive(Clone, Debug)]
pub struct Place {
    /// Address in the process; a return address unless `is_leaf`.
    pub address: u64,
    /// Whether the address was reached by no call: names are those of `address`, else of
    /// `address - 1`.
    pub is_leaf: bool,
    /// Where it lies.
    pub origin: Origin,
}

/// One frame of a CPython function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PythonPlace {
    /// Qualified name.
    pub function: String,
    /// Source file.
    pub file: String,
    /// Line, from 1; `None`: the location table does not tell.
    pub line: Option<u32>,
}

/// A stack as it was taken, innermost frame first.
#[derive(Clone, Debug)]
pub struct RawStack {
    /// Whose it is.
    pub task: Task,
    /// How far to trust it.
    pub status: StackStatus,
    /// Machine code.
    pub frames: Vec<Place>,
    /// Python code; empty where there is none.
    pub python: Vec<PythonPlace>,
    /// Whether the same stack may be told better the next time.
    pub is_provisional: bool,
}

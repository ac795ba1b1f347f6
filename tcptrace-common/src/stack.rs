//! Stacks in the ring buffer `STACKS`, and what the kernel side knows of a process.
//!
//! A socket's memory names a stack by its id; the stack itself crosses the ring once. A record is
//! a [`StackHeader`]; room for [`MAX_FRAMES`] program counters (`u64`), of which `frames` are
//! filled; where `python` or `copied` is not 0, room for [`MAX_PYTHON`] [`PythonFrame`]s, of which
//! `python` are filled; then `copied` bytes of the user stack from the `sp` of
//! [`StackHeader::frontier`] on.

use crate::memory::Task;
use crate::unwind::{Frame, fold};
use crate::wire;

/// Ids of stacks that are none. Real ids are larger than all of these.
pub mod stack_id {
    /// No stack was taken: the moment was not traced, or stacks are not wanted.
    pub const NONE: u64 = 0;
    /// There is no user stack: a kernel thread, an io_uring worker, a 32-bit program.
    pub const NO_USER: u64 = 1;
    /// There was no room: to deliver it in the ring buffer, or to take it down on its CPU.
    pub const LOST: u64 = 2;
    /// Largest of these.
    pub const LAST: u64 = 15;
}

/// Most native frames of one stack.
pub const MAX_FRAMES: usize = 128;
/// Most Python frames of one stack.
pub const MAX_PYTHON: usize = 64;
/// Most bytes of stack that travel with a stack that the kernel side could not finish: node needs
/// 17 KiB, and the record has to fit into a per-CPU map (32 KiB).
pub const MAX_COPY: usize = 24 << 10;

/// Values of [`StackHeader::end`]: how the walk ended.
pub mod end {
    /// At the outermost frame.
    pub const COMPLETE: u32 = 0;
    /// There is no rule for the frontier's pc; the copy lets user space go on.
    pub const NO_RULE: u32 = 1;
    /// The process is not known; as with [`NO_RULE`].
    pub const NO_PROCESS: u32 = 2;
    /// The stack could not be read there.
    pub const UNREADABLE: u32 = 3;
    /// The stack makes no sense there.
    pub const BROKEN: u32 = 4;
    /// Longer than [`super::MAX_FRAMES`].
    pub const TOO_LONG: u32 = 5;
    /// There is no rule, and the process has used up its budget of copies.
    pub const BUDGET: u32 = 6;
    /// It is known that there is no rule ([`crate::unwind::cfa::NONE`]).
    pub const NO_INFO: u32 = 7;
    /// No stack at all: the process has begun to run Python, and its first stack is to be complete.
    pub const PYTHON_STARTS: u32 = 8;
}

/// Bits of [`StackHeader::flags`].
pub mod stack_flag {
    /// A rule of kind [`crate::unwind::rule_flag::ASSUMED`] was used on the way.
    pub const ASSUMED: u32 = 1;
    /// The Python frames are not all: the walk failed or was too long.
    pub const PYTHON_CUT: u32 = 2;
}

/// Head of a stack record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct StackHeader {
    /// Id by which sockets name it: a hash of its contents, or a number of its own where user
    /// space has to finish it.
    pub id: u64,
    /// When it was taken, ns, monotonic clock.
    pub time_ns: u64,
    /// Whose it is, in the tool's pid namespace.
    pub task: Task,
    /// Process id in the initial pid namespace: the key of `PROCESSES`.
    pub tgid: u32,
    /// Tag under which rules were looked up; 0: the process was not known.
    pub tag: u32,
    /// [`end`].
    pub end: u32,
    /// [`stack_flag`].
    pub flags: u32,
    /// Program counters, innermost first; the frontier's own is the last of them.
    pub frames: u32,
    /// Python frames, innermost first.
    pub python: u32,
    /// Bytes of stack that follow.
    pub copied: u32,
    /// Padding.
    pub pad: u32,
    /// [`program_id`] of the process; 0: not known.
    pub program: u64,
    /// Where the walk got stuck.
    pub frontier: Frame,
}
wire!(StackHeader, 128);

/// One frame of a CPython function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct PythonFrame {
    /// Address of the code object.
    pub code: u64,
    /// Address of the instruction that runs or was last run.
    pub instruction: u64,
}
wire!(PythonFrame, 16);

/// Offsets by which the kernel side walks the frames of a CPython thread. The pointer to the
/// thread state lies at `fsbase + slot`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PythonLayout {
    /// Offset of the slot from the thread's `fsbase`; 0: not a Python process.
    pub slot: i32,
    /// Offset in `PyThreadState` of the current frame, or of `cframe` where there is one.
    pub thread_frame: u16,
    /// Offset of the current frame in `_PyCFrame`; [`NO_CFRAME`]: there is none (3.13).
    pub cframe_frame: u16,
    /// Offset of the code object in `_PyInterpreterFrame`.
    pub code: u8,
    /// Offset of the caller's frame.
    pub previous: u8,
    /// Offset of the instruction pointer.
    pub instruction: u8,
    /// Offset of the byte `owner`.
    pub owner: u8,
    /// `owner` from this value on marks frames that stand for C code and are skipped.
    pub shim: u8,
    /// Padding.
    pub pad: [u8; 3],
}
wire!(PythonLayout, 16);

/// [`PythonLayout::cframe_frame`] of a CPython without `_PyCFrame`.
pub const NO_CFRAME: u16 = u16::MAX;

/// Bytes of a `_PyInterpreterFrame` that are read at once: all offsets of [`PythonLayout`] in it,
/// and the words there, lie within.
pub const PYTHON_FRAME_BYTES: usize = 80;

/// Copies that a process may cause at once: [`ProcessEntry::budget`] when it is full.
pub const BUDGET: u32 = 64;
/// Time in which the budget of a process grows by one, ns.
pub const BUDGET_REFILL_NS: u64 = 125_000_000;
/// The same for all processes together that are not known yet: the entry of the map `STRANGERS`.
pub const STRANGERS_BUDGET: u32 = 512;
/// As [`BUDGET_REFILL_NS`].
pub const STRANGERS_REFILL_NS: u64 = 4_000_000;

/// What tells a program that a process runs from those that it ran before: exec() chooses by chance
/// where the stack begins, fork() keeps it. `/proc/PID/stat` has both numbers.
#[must_use]
pub const fn program_id(start_stack: u64, end_code: u64) -> u64 {
    fold(start_stack, end_code)
}

/// What the kernel side knows of a process, by its pid in the initial pid namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ProcessEntry {
    /// When a copy was last paid for, ns, monotonic clock.
    pub refilled_ns: u64,
    /// [`program_id`] of the process: of another one, nothing here is true.
    pub program: u64,
    /// Tag of its rules.
    pub tag: u32,
    /// Copies that may still be made at once.
    pub budget: u32,
    /// How to walk its Python frames.
    pub python: PythonLayout,
}
wire!(ProcessEntry, 40);

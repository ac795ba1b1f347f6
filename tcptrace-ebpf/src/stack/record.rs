//! A stack record, built in a scratch map: programs have 512 bytes of stack.

use core::mem::offset_of;
use core::slice;

use tcptrace_common::stack::{MAX_COPY, MAX_FRAMES, MAX_PYTHON, PythonFrame, StackHeader};
use tcptrace_common::trail::{Noting, Trail};

use super::window::WINDOW;
use crate::maps::STACKS;

/// Most bytes that one read of the user's memory copies: reads end at page borders.
pub const PAGE: usize = 4096;
/// Words of a copy, and of a page behind it.
pub const COPY_WORDS: usize = (MAX_COPY + PAGE) / 8;

/// A record and room behind it, so that the verifier need not relate offset and length.
#[repr(C)]
pub struct Record {
    /// Head.
    pub header: StackHeader,
    /// Program counters.
    pub frames: [u64; MAX_FRAMES],
    /// Python frames.
    pub python: [PythonFrame; MAX_PYTHON],
    /// Copied stack.
    pub stack: [u64; COPY_WORDS],
    /// For the walk; not sent.
    pub window: [u64; WINDOW],
    /// What the walk has depended on so far; not sent.
    pub noting: Noting,
    /// The same.
    pub trail: Trail,
}

impl Record {
    /// Sends what is filled; false where there is no room.
    #[inline(always)]
    pub fn send(&self) -> bool {
        let header = &self.header;
        let length = if header.copied > 0 {
            let mut copied = header.copied as usize;
            if copied > MAX_COPY {
                copied = MAX_COPY;
            }
            offset_of!(Self, stack) + copied
        } else if header.python > 0 {
            offset_of!(Self, stack)
        } else {
            offset_of!(Self, python)
        };
        // SAFETY: the length is at most that of the record, and integers alone are in it.
        let bytes =
            unsafe { slice::from_raw_parts(core::ptr::from_ref(self).cast::<u8>(), length) };
        STACKS.output::<[u8]>(bytes, 0).is_ok()
    }
}

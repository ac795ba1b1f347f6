//! The walk through the frames of CPython functions.
//!
//! A code object's address does not say which function it is: a child of fork() makes others at the
//! same addresses as its sibling, and what is freed makes room for the next. So the process and
//! what the object says of itself are part of a stack's id.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_loop;
use aya_ebpf::helpers::generated::bpf_probe_read_user;
use tcptrace_common::python::{FRAME_WORDS, MAX_STEPS, first_frame, step, thread_state};
use tcptrace_common::stack::{MAX_PYTHON, PythonLayout, stack_flag};
use tcptrace_common::unwind::fold;

use super::record::{COPY_WORDS, PAGE};
use super::window::WINDOW;
use super::{Record, word};
use crate::opaque::{nought, opaque};
use crate::task::thread_base;

/// Where the fields of a `PyCodeObject` (`Include/cpython/code.h`) begin that tell one function
/// from another, and stay as they are while it lives: line, version, names, file, line table.
const CODE_FIELDS: u64 = 64;
/// How many words they are.
const CODE_WORDS: usize = 10;
/// Bytes of a frame that are read.
const FRAME_BYTES: u64 = 8 * FRAME_WORDS as u64;

/// Where the walk is.
struct Walk {
    record: *mut Record,
    layout: PythonLayout,
    /// Address of the frame; 0: the walk has come to the end.
    at: u64,
    hash: u64,
    pieces: Pieces,
    frames: u32,
    /// 1: there is more than was walked.
    is_cut: u32,
}

/// Walks through the Python frames of the current thread, if it has any, and folds them into `id`.
/// So many bytes of the machine stack are in the record.
#[inline(always)]
pub fn frames(record: &mut Record, layout: PythonLayout, copied: u64) -> Option<()> {
    let state = thread_state(&layout, thread_base()?, word)?;
    // Up to 3.12 the way leads through the machine stack.
    let at =
        first_frame(&layout, state, |at| copied_word(record, copied, at).or_else(|| word(at)))?;
    let hash = fold(record.header.id, u64::from(record.header.tgid));
    let (pieces, nothing) = (Pieces::none(), opaque(nought()) as u32);
    let mut walk = Walk { record, layout, at, hash, pieces, frames: nothing, is_cut: 1 };
    // SAFETY: the kernel calls back with a pointer to `walk` before the helper returns.
    unsafe { bpf_loop(MAX_STEPS as u32, one as *mut c_void, (&raw mut walk).cast::<c_void>(), 0) };
    record.header.python = walk.frames;
    record.header.id = walk.hash;
    if walk.is_cut != 0 {
        record.header.flags |= stack_flag::PYTHON_CUT;
    }
    Some(())
}

/// One frame, called by the kernel. Returns 1 to end the walk.
extern "C" fn one(_index: u32, walk: *mut Walk) -> i64 {
    // SAFETY: the pointer that `frames` gave.
    let walk = unsafe { &mut *walk };
    if walk.at == 0 {
        walk.is_cut = 0;
        return 1;
    }
    // SAFETY: the record that `frames` was given lives as long as the walk.
    let window = unsafe { &mut (*walk.record).window };
    let Some(words) = walk.pieces.frame(window, walk.at) else { return 1 };
    let step = step(&walk.layout, words);
    if let Some(frame) = step.frame {
        if walk.frames as usize >= MAX_PYTHON {
            return 1;
        }
        // SAFETY: the record that `frames` was given lives as long as the walk.
        let frames = unsafe { &mut (*walk.record).python };
        frames[walk.frames as usize & (MAX_PYTHON - 1)] = frame;
        walk.frames += 1;
        walk.hash = fold(fold(walk.hash, frame.code), frame.instruction);
        // SAFETY: as above.
        let scratch = unsafe { &mut (*walk.record).stack };
        walk.hash = fold_code(walk.hash, frame.code, scratch);
    }
    walk.at = step.previous;
    0
}

/// Folds in what a code object says of itself. One that cannot be read adds nothing.
#[inline(always)]
fn fold_code(hash: u64, code: u64, scratch: &mut [u64; COPY_WORDS]) -> u64 {
    const BYTES: usize = CODE_WORDS * 8;
    let from = code.wrapping_add(CODE_FIELDS) as *const c_void;
    // SAFETY: there is room for the words; the helper checks the user's address.
    if unsafe { bpf_probe_read_user(scratch.as_mut_ptr().cast(), BYTES as u32, from) } != 0 {
        return hash;
    }
    scratch.iter().take(CODE_WORDS).fold(hash, |hash, word| fold(hash, *word))
}

/// The word at an address of the machine stack, where it is among the bytes in the record.
#[inline(always)]
fn copied_word(record: &Record, copied: u64, address: u64) -> Option<u64> {
    let offset = address.wrapping_sub(record.header.frontier.sp);
    let index = opaque(offset >> 3) as usize;
    (offset < copied && offset & 7 == 0 && index < COPY_WORDS).then(|| record.stack[index])
}

/// Frames, read a piece at a time: a thread's lie one behind the other, each behind its caller's.
struct Pieces {
    /// Address of the first word in the window.
    base: u64,
    /// How many bytes are there.
    length: u64,
}

impl Pieces {
    /// The verifier shall not follow the walk once for each number that it knows.
    #[inline(always)]
    fn none() -> Self {
        Self { base: opaque(nought()), length: opaque(nought()) }
    }

    /// The words of the frame at an address.
    #[inline(always)]
    fn frame<'a>(
        &mut self,
        window: &'a mut [u64; WINDOW],
        at: u64,
    ) -> Option<&'a [u64; FRAME_WORDS]> {
        if !self.has(at) {
            self.fill(window, at)?;
        }
        let index = opaque(at.wrapping_sub(self.base) >> 3);
        if index > (WINDOW - FRAME_WORDS) as u64 {
            return None;
        }
        // SAFETY: so many words are left behind it.
        Some(unsafe { &*window.as_ptr().add(index as usize).cast::<[u64; FRAME_WORDS]>() })
    }

    #[inline(always)]
    fn has(&self, at: u64) -> bool {
        let offset = at.wrapping_sub(self.base);
        offset < self.length && self.length - offset >= FRAME_BYTES && offset & 7 == 0
    }

    /// Reads a piece that ends with the frame and begins on the frame's first page: whether the
    /// page before it is there, nobody knows, and to find out would cost more than it saves.
    #[inline(always)]
    fn fill(&mut self, window: &mut [u64; WINDOW], at: u64) -> Option<()> {
        let before = at & (PAGE as u64 - 1) & !7;
        let most = 8 * WINDOW as u64 - FRAME_BYTES;
        let before = if before > most { most } else { before };
        self.base = at.wrapping_sub(before);
        self.length = before + FRAME_BYTES;
        let (to, from) = (window.as_mut_ptr().cast(), self.base as *const c_void);
        // SAFETY: the length is at most that of the array; the helper checks the user's address.
        (unsafe { bpf_probe_read_user(to, self.length as u32, from) } == 0).then_some(())
    }
}

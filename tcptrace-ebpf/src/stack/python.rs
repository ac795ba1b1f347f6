//! The walk through the frames of CPython functions.
//!
//! A code object's address does not say which function it is: a child of fork() makes others at the
//! same addresses as its sibling, and what is freed makes room for the next. So the process and
//! what the object says of itself are part of a stack's id.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_loop, bpf_probe_read_user, generated};
use tcptrace_common::python::{FRAME_WORDS, MAX_STEPS, first_frame, step, thread_state};
use tcptrace_common::stack::{MAX_PYTHON, PythonLayout, stack_flag};
use tcptrace_common::unwind::fold;

use super::window::WINDOW;
use super::{Record, word};
use crate::task::thread_base;

/// Where the fields of a `PyCodeObject` (`Include/cpython/code.h`) begin that tell one function
/// from another, and stay as they are while it lives: line, version, names, file, line table.
const CODE_FIELDS: u64 = 64;
/// How many words they are.
const CODE_WORDS: usize = 10;

/// Where the walk is.
struct Walk {
    record: *mut Record,
    layout: PythonLayout,
    /// Address of the frame; 0: the walk has come to the end.
    at: u64,
    hash: u64,
    frames: u32,
    /// 1: there is more than was walked.
    is_cut: u32,
}

/// Walks through the Python frames of the current thread, if it has any, and folds them into `id`.
#[inline(always)]
pub fn frames(record: &mut Record, layout: PythonLayout) -> Option<()> {
    let state = thread_state(&layout, thread_base()?, word)?;
    let at = first_frame(&layout, state, word)?;
    let hash = fold(record.header.id, u64::from(record.header.tgid));
    let mut walk = Walk { record, layout, at, hash, frames: 0, is_cut: 1 };
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
    // SAFETY: the helper checks the address and fails on a bad one.
    let words = unsafe { bpf_probe_read_user(walk.at as *const [u64; FRAME_WORDS]) };
    let Ok(words) = words else { return 1 };
    let step = step(&walk.layout, &words);
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
        let scratch = unsafe { &mut (*walk.record).window };
        walk.hash = fold_code(walk.hash, frame.code, scratch);
    }
    walk.at = step.previous;
    0
}

/// Folds in what a code object says of itself. One that cannot be read adds nothing.
#[inline(always)]
fn fold_code(hash: u64, code: u64, scratch: &mut [u64; WINDOW]) -> u64 {
    const BYTES: u32 = (CODE_WORDS * 8) as u32;
    let (to, from) = (scratch.as_mut_ptr().cast(), code.wrapping_add(CODE_FIELDS) as *const _);
    // SAFETY: there is room for the words; the helper checks the user's address.
    if unsafe { generated::bpf_probe_read_user(to, BYTES, from) } != 0 {
        return hash;
    }
    scratch.iter().take(CODE_WORDS).fold(hash, |hash, word| fold(hash, *word))
}

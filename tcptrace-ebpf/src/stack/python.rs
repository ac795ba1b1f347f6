//! The walk through the frames of CPython functions.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_loop, bpf_probe_read_user};
use tcptrace_common::python::{FRAME_WORDS, MAX_STEPS, first_frame, step, thread_state};
use tcptrace_common::stack::{MAX_PYTHON, PythonLayout, stack_flag};
use tcptrace_common::unwind::fold;

use super::{Record, word};
use crate::task::thread_base;

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
    let hash = record.header.id;
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
    }
    walk.at = step.previous;
    0
}

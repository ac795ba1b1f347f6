//! The frames of a CPython thread: the same code on both sides.
//!
//! A thread state points to its innermost `_PyInterpreterFrame`, and each of those to its
//! caller's, from Python function to Python function whatever lies between on the C stack. A
//! frame is read as one array of words. Its fields are chosen by masked indexes, so that any
//! [`PythonLayout`] stays within the array and the kernel's verifier can see it.

use crate::stack::{NO_CFRAME, PYTHON_FRAME_BYTES, PythonFrame, PythonLayout};

/// Words of a `_PyInterpreterFrame` that are read at once.
pub const FRAME_WORDS: usize = PYTHON_FRAME_BYTES / 8;
/// Most frames that are looked at for one stack, those that stand for C code included.
pub const MAX_STEPS: usize = 96;

/// The words of pointers are the first eight.
const POINTER_MASK: usize = 7;
/// `owner` lies in one of the two words behind them.
const OWNER_WORDS: usize = 8;
/// Low bits of `f_executable` that are no part of the address: 3.14 keeps a tag there
/// (`pycore_stackref.h`), and objects are aligned to 16 bytes.
const TAG_BITS: u64 = 7;

/// What one `_PyInterpreterFrame` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The Python function; nothing where the frame stands for C code.
    pub frame: Option<PythonFrame>,
    /// Address of the caller's frame; 0: there is none.
    pub previous: u64,
}

/// The thread state of the thread with this `fsbase`. `None`: it runs no Python, or its memory
/// could not be read. `read` gives the 64-bit word at an address, here and below.
#[inline(always)]
pub fn thread_state(
    layout: &PythonLayout,
    fsbase: u64,
    mut read: impl FnMut(u64) -> Option<u64>,
) -> Option<u64> {
    if layout.slot == 0 {
        return None;
    }
    read(fsbase.wrapping_add_signed(layout.slot as i64)).filter(|state| *state != 0)
}

/// Address of a thread's innermost frame; `Some(0)`: it has none. `None`: could not be read.
#[inline(always)]
pub fn first_frame(
    layout: &PythonLayout,
    thread_state: u64,
    mut read: impl FnMut(u64) -> Option<u64>,
) -> Option<u64> {
    let first = read(thread_state.wrapping_add(layout.thread_frame as u64))?;
    if layout.cframe_frame == NO_CFRAME || first == 0 {
        return Some(first);
    }
    read(first.wrapping_add(layout.cframe_frame as u64))
}

/// Takes a frame apart.
#[inline(always)]
#[must_use]
pub fn step(layout: &PythonLayout, words: &[u64; FRAME_WORDS]) -> Step {
    let pointer = |offset: u8| words[(offset >> 3) as usize & POINTER_MASK];
    let owners = words[OWNER_WORDS + ((layout.owner >> 3) as usize & 1)];
    let owner = (owners >> ((layout.owner as u32 & 7) * 8)) as u8;
    let frame = PythonFrame {
        code: pointer(layout.code) & !TAG_BITS,
        instruction: pointer(layout.instruction),
    };
    Step {
        frame: if owner >= layout.shim { None } else { Some(frame) },
        previous: pointer(layout.previous),
    }
}

/// Whether [`step`] finds every field of frames of this layout.
#[must_use]
pub const fn is_walkable(layout: &PythonLayout) -> bool {
    const fn is_pointer(offset: u8) -> bool {
        offset & 7 == 0 && (offset >> 3) as usize <= POINTER_MASK
    }
    is_pointer(layout.code)
        && is_pointer(layout.previous)
        && is_pointer(layout.instruction)
        && (layout.owner as usize) >= OWNER_WORDS * 8
        && (layout.owner as usize) < PYTHON_FRAME_BYTES
}

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

#[cfg(test)]
mod tests {
    use super::*;

    /// Offsets as 3.12 has them.
    const LAYOUT: PythonLayout = PythonLayout {
        slot: 0x318,
        thread_frame: 56,
        cframe_frame: 0,
        code: 0,
        previous: 8,
        instruction: 56,
        owner: 70,
        shim: 3,
        pad: [0; 3],
    };

    fn words(owner: u64) -> [u64; FRAME_WORDS] {
        [0x1001, 0x2000, 0, 0, 0, 0, 0, 0x3000, owner << 48 | 0xffff, u64::MAX]
    }

    #[test]
    fn a_frame_is_taken_apart() {
        let frame = PythonFrame { code: 0x1000, instruction: 0x3000 };
        for owner in 0..3 {
            let expected = Step { frame: Some(frame), previous: 0x2000 };
            assert_eq!(step(&LAYOUT, &words(owner)), expected);
        }
        for owner in 3..=255 {
            assert_eq!(step(&LAYOUT, &words(owner)), Step { frame: None, previous: 0x2000 });
        }
    }

    #[test]
    fn any_layout_stays_within_the_frame() {
        for offset in 0..=255 {
            let layout = PythonLayout {
                code: offset,
                previous: offset,
                instruction: offset,
                owner: offset,
                ..LAYOUT
            };
            let _ = step(&layout, &words(0));
            let with_code = PythonLayout { code: offset, ..LAYOUT };
            assert_eq!(is_walkable(&with_code), offset % 8 == 0 && offset < 64);
            let with_owner = PythonLayout { owner: offset, ..LAYOUT };
            assert_eq!(is_walkable(&with_owner), (64..80).contains(&offset));
        }
    }

    #[test]
    fn the_first_frame_is_found_with_and_without_cframe() {
        let read = |at: u64| match at {
            0x7318 => Some(0x5000),
            0x5038 => Some(0x6000),
            0x6000 => Some(0x8000),
            _ => None,
        };
        assert_eq!(thread_state(&LAYOUT, 0x7000, read), Some(0x5000));
        assert_eq!(thread_state(&LAYOUT, 0x7001, read), None);
        assert_eq!(first_frame(&LAYOUT, 0x5000, read), Some(0x8000));
        let direct = PythonLayout { cframe_frame: NO_CFRAME, ..LAYOUT };
        assert_eq!(first_frame(&direct, 0x5000, read), Some(0x6000));
        assert_eq!(first_frame(&LAYOUT, 0x5001, read), None);
        assert_eq!(first_frame(&LAYOUT, 0x5000, |_| Some(0)), Some(0), "it runs no Python");
        let none = PythonLayout { slot: 0, ..LAYOUT };
        assert_eq!(thread_state(&none, 0x7000, |_| Some(1)), None);
    }
}

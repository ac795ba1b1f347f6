//! Transitions in the midst of a transition.
//!
//! Kernel contract (seen on 6.1, 6.18, 7.3): a raw tracepoint's program is not run in itself. An
//! interrupt that comes while the program for transitions is at work in a system call may take up
//! packets, and the transitions that come of them pass it by; the kernel counts them. Another
//! program on the same tracepoint is run all the same, in the order of attaching. So there is a
//! second one, attached behind the first once the kernel has counted any, which does the first
//! one's work where that was not run.
//!
//! The first one notes each transition on its CPU, and the second strikes it out. An interrupt between
//! the two brings its own pairs, and leaves the notes as they were. Should so many come within the
//! second one that a note is lost, or should another task come in between on a kernel that preempts
//! anywhere, what is remembered of the socket tells whether the transition was seen.

use crate::maps::NOTES;
use crate::opaque::opaque;

/// Transitions that can be noted at once on a CPU; a power of two.
const MOST: usize = 8;

/// Transitions that the first program was run for and the second was not yet.
#[repr(C)]
pub struct Notes {
    /// Number of the next one, of which the low bits are its place.
    next: u64,
    notes: [u64; MOST],
}

/// One transition, in a word. States are less than 16, and all addresses of sockets have the same
/// first byte.
#[inline(always)]
pub fn note_of(address: u64, from: u8, to: u8) -> u64 {
    address << 8 | u64::from(from & 15) << 4 | u64::from(to & 15)
}

/// The first program was run for this transition.
#[inline(always)]
pub fn note(note: u64) {
    let Some(notes) = notes() else { return };
    notes.notes[opaque(notes.next) as usize & (MOST - 1)] = note;
    notes.next = notes.next.wrapping_add(1);
}

/// Whether the first program was run for this transition, to be asked once.
#[inline(always)]
pub fn was_noted(note: u64) -> bool {
    let Some(notes) = notes() else { return false };
    let last = notes.next.wrapping_sub(1);
    let place = opaque(last) as usize & (MOST - 1);
    if notes.notes[place] == note {
        notes.notes[place] = 0;
        notes.next = last;
        return true;
    }
    for earlier in &mut notes.notes {
        if *earlier == note {
            *earlier = 0;
            return true;
        }
    }
    false
}

#[inline(always)]
fn notes() -> Option<&'static mut Notes> {
    // SAFETY: this CPU's own slot. Who interrupts one of the two programs runs the other alone, and
    // the second takes a note that is not its own for none.
    NOTES.get_ptr_mut(0).map(|notes| unsafe { &mut *notes })
}

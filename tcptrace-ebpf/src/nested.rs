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
//! the two brings its own pairs, and leaves the notes as they were; one within the second notes
//! nothing, because the second would not come to strike it out.
//!
//! Kernels that preempt anywhere may let another task in between, or take the task to another CPU.
//! What is remembered of the socket then tells whether the transition was seen; of one that is not
//! followed, nothing is remembered, and it may be counted as seen twice.

use crate::maps::NOTES;
use crate::opaque::opaque;

/// Transitions that can be noted at once on a CPU; a power of two.
const MOST: usize = 8;

/// Transitions that the first program was run for and the second was not yet.
#[repr(C)]
pub struct Notes {
    /// 1 once the second program has come by: before, nobody strikes anything out.
    is_read: u64,
    /// 1 while the second program is at work.
    is_busy: u64,
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
    if notes.is_read == 0 || is_busy(notes) {
        return;
    }
    notes.notes[opaque(notes.next) as usize & (MOST - 1)] = note;
    notes.next = notes.next.wrapping_add(1);
}

/// The second program begins. False where it is here for the first time, and can know nothing.
#[inline(always)]
pub fn begin() -> bool {
    let Some(notes) = notes() else { return false };
    let was_here = notes.is_read != 0;
    notes.is_read = 1;
    set_busy(notes, 1);
    was_here
}

/// It is done.
#[inline(always)]
pub fn end() {
    if let Some(notes) = notes() {
        set_busy(notes, 0);
    }
}

#[inline(always)]
fn is_busy(notes: &Notes) -> bool {
    // SAFETY: a reference; volatile, because the one who sets it was interrupted.
    unsafe { (&raw const notes.is_busy).read_volatile() != 0 }
}

#[inline(always)]
fn set_busy(notes: &mut Notes, busy: u64) {
    // SAFETY: a reference; volatile, because whoever interrupts reads it.
    unsafe { (&raw mut notes.is_busy).write_volatile(busy) };
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

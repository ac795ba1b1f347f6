//! Where a stack is taken down: a place of one's own, for as long as it takes.
//!
//! A program stays on its CPU while it runs, but it may be preempted there, by a task that runs
//! the same program or another (seen on 7.3, whose scheduler preempts wherever it may): one place
//! for each CPU, or for each program, would have two stacks mixed. So a CPU has some places, and
//! each is taken with one compare-and-exchange. They need not come back in the order in which they
//! went.

use super::Record;
use crate::atomic::exchange;
use crate::maps::{STACK_DESKS, STACK_TAKEN};
use crate::opaque::{nought, opaque};

/// Places on each CPU.
pub const DESKS: usize = 4;
/// For each of them, 1 while it is taken.
pub type Taken = [u64; DESKS];

/// A place that is ours.
pub struct Desk {
    pub record: *mut Record,
    taken: *mut u64,
}

/// Takes a free place; `None`: each is taken by somebody who waits for this CPU.
#[inline(always)]
pub fn take() -> Option<Desk> {
    let taken = STACK_TAKEN.get_ptr_mut(0)?.cast::<u64>();
    for index in 0..DESKS {
        // SAFETY: within the array.
        if exchange(unsafe { taken.add(index) }, 0, 1) == 0 {
            return at(taken, index);
        }
    }
    None
}

/// The verifier shall not follow the walk once for each place.
#[inline(always)]
fn at(taken: *mut u64, index: usize) -> Option<Desk> {
    let index = opaque((index as u64).wrapping_add(nought())) as usize & (DESKS - 1);
    // Where stacks are not wanted the array has one place alone, and nobody comes here.
    let record = STACK_DESKS.get_ptr_mut(index as u32)?;
    Some(Desk { record, taken: taken.wrapping_add(index) })
}

impl Desk {
    /// Gives the place back.
    #[inline(always)]
    pub fn leave(self) {
        // SAFETY: ours until here; one store.
        unsafe { self.taken.write_volatile(0) };
    }
}

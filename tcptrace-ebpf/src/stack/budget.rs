//! How many copies of stacks a process may cause: a token bucket, so that a process whose stacks
//! can never be walked does not cost more than a few copies a second.

use tcptrace_common::stack::{BUDGET, BUDGET_REFILL_NS, ProcessEntry};
use tcptrace_common::stack::{STRANGERS_BUDGET, STRANGERS_REFILL_NS};

use crate::maps::STRANGERS;

/// Takes one token; false where there is none. Two CPUs may take the same one.
#[inline(always)]
pub fn pay(process: Option<*mut ProcessEntry>, now: u64) -> bool {
    let (entry, most, refill_ns) = match process {
        Some(entry) => (Some(entry), BUDGET, BUDGET_REFILL_NS),
        None => (STRANGERS.get_ptr_mut(0), STRANGERS_BUDGET, STRANGERS_REFILL_NS),
    };
    let Some(entry) = entry else { return false };
    // SAFETY: a value of the map lives at least until this program returns; it holds integers
    // alone, and a lost update costs a token.
    let entry = unsafe { &mut *entry };
    let grown = now.saturating_sub(entry.refilled_ns) / refill_ns;
    if grown > 0 {
        entry.refilled_ns = now;
        let budget = u64::from(entry.budget).saturating_add(grown);
        entry.budget = if budget > u64::from(most) { most } else { budget as u32 };
    }
    if entry.budget == 0 {
        return false;
    }
    entry.budget -= 1;
    true
}

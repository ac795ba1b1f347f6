//! Mini-sockets whose moves the kernel's own functions tell, in the moment of the move.
//!
//! What is told is put together in this CPU's own slot, as a program's stack has no room for it. Whoever
//! finds it taken has preempted another program there (softirqs of a PREEMPT_RT kernel can), and leaves
//! it at a count.

use aya_ebpf::helpers::{bpf_jiffies64, bpf_ktime_get_ns};
use tcptrace_common::counter::Counter;
use tcptrace_common::memory::SocketMemory;
use tcptrace_common::mini::MiniEnd;
use tcptrace_common::record::bound;
use tcptrace_common::tcp::state;

use super::end::{describe, last_end};
use super::{Mini, table, tell_end, tell_time_wait};
use crate::maps::count;
use crate::words::clear;

/// Its time begins anew: in FIN_WAIT2 because the peer's FIN has come.
#[inline(always)]
pub fn rescheduled(mini: Mini) {
    if mini.substate() == state::TIME_WAIT
        && let Some(slot) = taken(mini)
    {
        // SAFETY: no preconditions.
        let when = |_: &SocketMemory| (unsafe { bpf_ktime_get_ns() }, bound::EXACT);
        tell_time_wait(mini, mini.sock().raw_cookie(), &mut slot.memory, when);
        give_back(slot);
    }
}

/// It comes to its end. Of one that is older than the trace there are its cookie and its endpoints alone.
#[inline(always)]
pub fn ended(mini: Mini) {
    let Some(slot) = taken(mini) else { return };
    clear(&mut slot.memory);
    slot.memory.cookie = mini.sock().raw_cookie();
    let own = table::find(mini.key(), slot.memory.cookie);
    if let Some(own) = &own {
        table::restore(own, &mut slot.memory);
    }
    // SAFETY: these helpers have no preconditions.
    let (now, jiffies) = unsafe { (bpf_ktime_get_ns(), bpf_jiffies64()) };
    describe(slot, mini, now, jiffies);
    tell_end(slot, mini, own);
    give_back(slot);
}

/// This CPU's slot, unless another program is at work in it.
#[inline(always)]
fn taken(mini: Mini) -> Option<&'static mut MiniEnd> {
    let slot = last_end()?;
    // SAFETY: a reference; volatile, because whoever preempts this program reads it.
    unsafe {
        if (&raw const slot.sk).read_volatile() != 0 {
            count(Counter::TransitionMissed);
            return None;
        }
        (&raw mut slot.sk).write_volatile(mini.key());
    }
    Some(slot)
}

#[inline(always)]
fn give_back(slot: &mut MiniEnd) {
    // SAFETY: as above.
    unsafe { (&raw mut slot.sk).write_volatile(0) };
}

//! Mini-sockets whose moves the kernel's own functions tell, in the moment of the move.
//!
//! Other CPUs may take up packets for one while it is handed over, and its time may be up while the peer's FIN
//! comes. So whoever tells something marks the place first, [`ENDING`], by compare-and-exchange; who comes to
//! the end of one that is marked marks it [`AGAIN`], tells the end, and leaves the place to the first.
//!
//! What is told is put together in this CPU's own slot, as a program's stack has no room for it. Whoever
//! finds it taken has preempted another program there (softirqs of a PREEMPT_RT kernel can), and leaves
//! it at a count.

use aya_ebpf::helpers::{bpf_jiffies64, bpf_ktime_get_ns};
use tcptrace_common::counter::Counter;
use tcptrace_common::memory::SocketMemory;
use tcptrace_common::mini::{MiniEnd, MiniMemory};
use tcptrace_common::record::bound;
use tcptrace_common::tcp::state;

use super::end::{describe, last_end};
use super::{AGAIN, ENDING, Mini, table, tell_end, tell_time_wait};
use crate::atomic::exchange;
use crate::maps::count;
use crate::words::clear;

/// It has a place since this moment, `now`, in the state `substate`. Who came by before did not find it, so
/// this looks what has become of it. Returns the state that is to be told.
#[inline(always)]
pub fn handed_over(
    mini: Mini,
    cookie: u64,
    own: &'static mut MiniMemory,
    substate: u8,
    now: u64,
) -> u8 {
    let mark = table::mark(own);
    let is_over = !mini.waits(cookie);
    let has_moved =
        table::state_in(mark) == state::FIN_WAIT2 && mini.substate() == state::TIME_WAIT;
    let is_mine = (is_over || has_moved)
        && own.cookie == cookie
        && mark & ENDING == 0
        && table::change(own, mark, mark | ENDING);
    if !is_mine {
        return substate;
    }
    own.since_ns = now;
    let moved = mark & !table::STATE | table::in_state(state::TIME_WAIT);
    if is_over || !table::change(own, mark | ENDING, moved) {
        table::forget(mini.key(), own);
    }
    if has_moved { state::TIME_WAIT } else { substate }
}

/// Its time begins anew: in FIN_WAIT2 because the peer's FIN has come.
#[inline(always)]
pub fn rescheduled(mini: Mini) {
    if mini.substate() != state::TIME_WAIT {
        return;
    }
    let Some(slot) = taken(mini) else { return };
    if let Some(own) = table::find(mini.key(), mini.sock().raw_cookie()) {
        // SAFETY: no preconditions.
        let when = |_: &SocketMemory| (unsafe { bpf_ktime_get_ns() }, bound::EXACT);
        if !tell_time_wait(mini, own, &mut slot.memory, when) {
            table::forget(mini.key(), own);
        }
    }
    give_back(slot);
}

/// It comes to its end. Of one that is older than the trace there are its cookie and its endpoints alone.
#[inline(always)]
pub fn ended(mini: Mini) {
    let Some(slot) = taken(mini) else { return };
    clear(&mut slot.memory);
    let cookie = mini.sock().raw_cookie();
    let own = table::find(mini.key(), cookie);
    let own = own.and_then(|own| is_claimed(own, &mut slot.memory).then_some(own));
    slot.memory.cookie = cookie;
    // SAFETY: these helpers have no preconditions.
    let (now, jiffies) = unsafe { (bpf_ktime_get_ns(), bpf_jiffies64()) };
    describe(slot, mini, now, jiffies);
    tell_end(slot, mini, own);
    give_back(slot);
}

/// Copies what is remembered and claims the place. `false`: another CPU is just telling that TIME_WAIT
/// has begun, and gives the place back.
#[inline(always)]
fn is_claimed(own: &mut MiniMemory, memory: &mut SocketMemory) -> bool {
    for _ in 0..2 {
        let mark = table::mark(own);
        table::restore(own, memory);
        if mark & ENDING == 0 {
            if table::change(own, mark, mark | ENDING) {
                return true;
            }
        } else if table::change(own, mark, mark | AGAIN) {
            (memory.state, memory.since_ns) = (state::TIME_WAIT, 0);
            return false;
        }
    }
    count(Counter::TransitionMissed);
    false
}

/// This CPU's slot, unless another program is at work in it. What was stored before is seen by other CPUs
/// before they see what is stored after it.
#[inline(always)]
fn taken(mini: Mini) -> Option<&'static mut MiniEnd> {
    let slot = last_end()?;
    if exchange(&raw mut slot.sk, 0, mini.key()) != 0 {
        count(Counter::TransitionMissed);
        return None;
    }
    Some(slot)
}

#[inline(always)]
fn give_back(slot: &mut MiniEnd) {
    // SAFETY: a reference; volatile, because whoever preempts this program reads it.
    unsafe { (&raw mut slot.sk).write_volatile(0) };
}

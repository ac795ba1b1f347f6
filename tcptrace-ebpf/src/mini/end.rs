//! The end of a mini-socket, where timers alone tell of it: or of its timer's time, and which of the two, a
//! look at it tells a moment later.
//!
//! `timer_cancel` fires before the kernel changes anything, so in the hook an end looks like a timer
//! that is set to another time. What may be an end is noted, one on each CPU, and settled by the next
//! timer that is cancelled there, or by user space, which has `tcptrace_settle` run on that CPU. Until
//! then the place in the table stays, marked [`memory_flag::ENDING`]. Another CPU that cancels the timer
//! meanwhile marks it [`memory_flag::AGAIN`] and leaves it at that: the first time was none, then, and of
//! the second the one who settles knows that it was later. So no end is told twice.

use aya_ebpf::helpers::{bpf_jiffies64, bpf_ktime_get_ns};
use tcptrace_common::counter::Counter;
use tcptrace_common::jiffies;
use tcptrace_common::memory::{SocketMemory, memory_flag};
use tcptrace_common::mini::{MiniEnd, MiniMemory, enter, to_time_wait};
use tcptrace_common::record::bound;

use super::{AGAIN, ENDING, Mini, table, tell, tell_end, young};
use crate::maps::{MINI_ENDS, count};
use crate::words::clear;

/// `TCP_TIMEWAIT_LEN`, s (`include/net/tcp.h`).
const TIME_WAIT_S: u64 = 60;

/// A timer is cancelled on this CPU, or its time has come.
#[inline(always)]
pub fn timer_cancelled(mini: Option<Mini>) {
    settle();
    young::look_at_one(mini);
    if let Some(mini) = mini {
        note(mini);
    }
}

/// Decides about what was noted on this CPU.
#[inline(always)]
pub fn settle() -> Option<()> {
    let end = last_end().filter(|end| end.sk != 0)?;
    let mini = Mini::at(end.sk);
    let own = table::find(end.sk, end.memory.cookie).filter(|own| table::mark(own) & ENDING != 0);
    let mark = own.as_ref().map_or(0, |own| table::mark(own));
    let waits = mini.waits(end.memory.cookie);
    if waits || mark & AGAIN != 0 {
        tell_move(end, mini);
    }
    if mark & AGAIN != 0 || (own.is_none() && end.memory.cookie != 0) {
        // If it has come to its end, then later than was noted.
        end.memory.flags |= memory_flag::SINCE_LATEST;
    }
    if !waits {
        tell_end(end, mini, own);
    } else if let Some(own) = own
        && !go_on(end, own, mark)
    {
        return None;
    }
    end.sk = 0;
    Some(())
}

#[inline(always)]
pub fn last_end() -> Option<&'static mut MiniEnd> {
    // SAFETY: this CPU's own slot, see the module above; user space only reads it.
    MINI_ENDS.get_ptr_mut(0).map(|end| unsafe { &mut *end })
}

#[inline(always)]
fn note(mini: Mini) -> Option<()> {
    let end = last_end()?;
    if end.sk != 0 {
        // The one before is not settled yet, because two CPUs have met.
        count(Counter::TransitionMissed);
        return None;
    }
    let cookie = mini.sock().raw_cookie();
    // SAFETY: these helpers have no preconditions.
    let (now, jiffies) = unsafe { (bpf_ktime_get_ns(), bpf_jiffies64()) };
    if !recall(mini, cookie, &mut end.memory) {
        return None;
    }
    describe(end, mini, now, jiffies);
    end.sk = mini.key();
    Some(())
}

/// How a mini-socket, of which the memory is there, comes to its end now.
#[inline(always)]
pub fn describe(end: &mut MiniEnd, mini: Mini, now: u64, jiffies: u64) {
    let expires = mini.expires();
    end.time_ns = now;
    end.substate = mini.substate();
    end.expired = u8::from(jiffies >= expires);
    if end.memory.netns == 0 {
        end.memory.netns = mini.sock().netns();
    }
    mini.sock().mini_tuple(&mut end.memory.tuple);
    end.time_wait_ns = if end.has_moved() {
        latest_time_wait(end.memory.since_ns, now, jiffies, expires)
    } else {
        0
    };
}

/// Copies the memory of a mini-socket and marks its place. Of one that is older than the trace there are
/// its cookie and its endpoints alone. `false`: another CPU will settle it.
#[inline(always)]
fn recall(mini: Mini, cookie: u64, memory: &mut SocketMemory) -> bool {
    clear(memory);
    memory.cookie = cookie;
    if let Some(own) = table::find(mini.key(), cookie) {
        let mark = table::mark(own);
        let marked = if mark & ENDING == 0 { ENDING } else { AGAIN };
        if !table::change(own, mark, mark | marked) {
            // Another CPU has changed it in this moment.
            count(Counter::TransitionMissed);
            return false;
        }
        if marked == AGAIN {
            return false;
        }
        table::restore(own, memory);
    } else if cookie != 0 {
        let entered = table::Entered { state: 0, since_ns: 0, flags: memory_flag::ENDING };
        table::put(mini.key(), memory, &entered);
    }
    true
}

/// When TIME_WAIT began at the latest, ns, to the jiffy: the timer then got its last time, unless a
/// segment came once more; jiffies tell the beginning of the one in which that was. Where the
/// rate of jiffies is not known, now at the latest.
#[inline(always)]
pub fn latest_time_wait(since: u64, now: u64, jiffies: u64, expires: u64) -> u64 {
    let rate = jiffies::rate(now, jiffies);
    if rate == 0 {
        return now;
    }
    let ago = jiffies.saturating_sub(expires.saturating_sub(TIME_WAIT_S * rate)).saturating_sub(1);
    now.saturating_sub(ago * 1_000_000_000 / rate).max(since)
}

/// The timer was set to another time, in FIN_WAIT2 because the peer's FIN has come.
#[inline(always)]
fn tell_move(end: &mut MiniEnd, mini: Mini) {
    if end.has_moved() {
        let told = to_time_wait(&end.memory, end.time_ns, bound::EXACT);
        tell(&told, &mut end.memory, mini.sock());
        enter(&mut end.memory, &told);
    }
}

/// It waits on. `false`: another CPU has cancelled its timer too, which the next look settles.
#[inline(always)]
fn go_on(end: &MiniEnd, own: &mut MiniMemory, mark: u64) -> bool {
    if mark & AGAIN != 0 {
        // That CPU may be about to end it.
        table::change(own, mark, mark & !AGAIN);
        return false;
    }
    own.since_ns = end.memory.since_ns;
    table::change(own, mark, table::mark_of(&end.memory))
}

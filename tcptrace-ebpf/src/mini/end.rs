//! The end of a mini-socket, or of its timer's time: which of the two, a look at it tells a moment later.
//!
//! `timer_cancel` fires before the kernel changes anything, so in the hook an end looks like a timer
//! that is set to another time. What may be an end is noted, one on each CPU, and settled by the next
//! timer that is cancelled there, or by user space, which has `tcptrace_settle` run on that CPU. Until
//! then the place in the table stays, marked [`memory_flag::ENDING`]: another CPU that cancels the timer
//! meanwhile leaves its time there, and no end is told twice.

use aya_ebpf::helpers::{bpf_jiffies64, bpf_ktime_get_ns};
use tcptrace_common::jiffies;
use tcptrace_common::memory::{SocketMemory, memory_flag};
use tcptrace_common::mini::{MiniEnd, MiniMemory, enter, to_time_wait};
use tcptrace_common::record::bound;

use super::{Mini, table, tell, young};
use crate::maps::MINI_ENDS;
use crate::words::clear;

/// `TCP_TIMEWAIT_LEN`, s (`include/net/tcp.h`).
const TIME_WAIT_S: u64 = 60;

/// A timer of this CPU is cancelled, or its time has come.
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
    let own = table::find(end.sk).filter(|own| is_of(own, end.memory.cookie));
    if mini.waits(end.memory.cookie) {
        go_on(end, mini, own);
    } else {
        tell_end(end, mini, own);
    }
    end.sk = 0;
    Some(())
}

#[inline(always)]
fn last_end() -> Option<&'static mut MiniEnd> {
    // SAFETY: this CPU's own slot, see the module above; user space only reads it.
    MINI_ENDS.get_ptr_mut(0).map(|end| unsafe { &mut *end })
}

#[inline(always)]
fn is_of(own: &MiniMemory, cookie: u64) -> bool {
    cookie != 0 && own.cookie == cookie
}

#[inline(always)]
fn note(mini: Mini) -> Option<()> {
    let end = last_end()?;
    let cookie = mini.sock().raw_cookie();
    // SAFETY: these helpers have no preconditions.
    let (now, jiffies) = unsafe { (bpf_ktime_get_ns(), bpf_jiffies64()) };
    let own = table::find(mini.key()).filter(|own| is_of(own, cookie));
    match own {
        Some(own) if own.flags & memory_flag::ENDING != 0 => {
            own.since_ns = now;
            return None;
        }
        own => recall(mini, cookie, own, &mut end.memory),
    }
    let expires = mini.expires();
    end.time_ns = now;
    end.substate = mini.substate();
    end.expired = u8::from(jiffies >= expires);
    if end.memory.netns == 0 {
        end.memory.netns = mini.sock().netns();
    }
    end.netns = end.memory.netns;
    end.time_wait_ns = if end.has_moved() {
        latest_time_wait(end.memory.since_ns, now, jiffies, expires)
    } else {
        0
    };
    end.sk = mini.key();
    Some(())
}

/// Copies the memory of a mini-socket and marks its place. Of one that is older than the trace there are
/// its cookie and its endpoints alone.
#[inline(always)]
fn recall(
    mini: Mini,
    cookie: u64,
    own: Option<&'static mut MiniMemory>,
    memory: &mut SocketMemory,
) {
    clear(memory);
    memory.cookie = cookie;
    if let Some(own) = own {
        table::restore(own, memory);
        own.flags |= memory_flag::ENDING;
    } else if cookie != 0
        && let Some(own) = table::put(mini.key(), memory)
    {
        own.flags = memory_flag::ENDING;
    }
    mini.sock().mini_tuple(&mut memory.tuple);
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

/// The timer was set to another time: in FIN_WAIT2 because the peer's FIN has come.
#[inline(always)]
fn go_on(end: &mut MiniEnd, mini: Mini, own: Option<&'static mut MiniMemory>) {
    if end.has_moved() {
        let told = to_time_wait(&end.memory, end.time_ns, bound::EXACT);
        tell(&told, &mut end.memory, mini.sock());
        enter(&mut end.memory, &told);
    }
    if let Some(own) = own {
        table::keep(own, &end.memory);
    }
}

#[inline(always)]
fn tell_end(end: &mut MiniEnd, mini: Mini, own: Option<&'static mut MiniMemory>) {
    if let Some(own) = own {
        // Another CPU was the one that ended it.
        end.time_ns = end.time_ns.max(own.since_ns);
        table::forget(end.sk);
    }
    if let Some(told) = end.unseen_time_wait() {
        tell(&told, &mut end.memory, mini.sock());
        enter(&mut end.memory, &told);
    }
    tell(&end.close(), &mut end.memory, mini.sock());
}

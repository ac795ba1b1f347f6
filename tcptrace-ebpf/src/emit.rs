//! What becomes of a transition: a count of its dwell, a record in the ring, as user space wants.

use tcptrace_common::counter::Counter;
use tcptrace_common::memory::SocketMemory;
use tcptrace_common::mini::Move;
use tcptrace_common::record::{DWELL_UNKNOWN, TransitionRecord, kind};
use tcptrace_common::setting::{Setting, filter};

use crate::config::setting;
use crate::filter::passes;
use crate::histogram;
use crate::maps::{EVENTS, count};

/// A transition, as the hook sees it.
pub struct Transition {
    pub from: u8,
    pub to: u8,
    pub time_ns: u64,
    pub dwell_ns: u64,
    pub netns: u32,
    pub error: i32,
    pub bound: u8,
    pub flags: u8,
}

impl Transition {
    /// That of a mini-socket.
    #[inline(always)]
    pub fn of_mini(told: &Move, netns: u32) -> Self {
        Self {
            from: told.from,
            to: told.to,
            time_ns: told.time_ns,
            dwell_ns: told.dwell_ns,
            netns,
            error: 0,
            bound: told.bound,
            flags: told.flags,
        }
    }
}

/// All that is done with a transition of the socket that `memory` is about.
#[inline(always)]
pub fn observe(transition: &Transition, memory: &SocketMemory) {
    if passes(memory, transition.netns) {
        histogram::count(transition.from, transition.dwell_ns, transition.bound, memory);
        if may_want(transition.from, transition.to) && is_long(transition.dwell_ns) {
            send(transition, memory);
        }
    }
}

/// Sends a record of the transition with which a socket began, if user space wants to hear of it:
/// there was no state before in which time was spent.
#[inline(always)]
pub fn tell_birth(transition: &Transition, memory: &SocketMemory) {
    if may_want(transition.from, transition.to)
        && is_long(transition.dwell_ns)
        && passes(memory, transition.netns)
    {
        send(transition, memory);
    }
}

/// Whether user space may want to hear of a transition between these states.
#[inline(always)]
pub fn may_want(from: u8, to: u8) -> bool {
    let either = setting(Setting::Filter) & filter::EITHER_STATE != 0;
    let entered = if either { 1 << (to & 31) } else { 0 };
    setting(Setting::RecordStates) & (1 << (from & 31) | entered) != 0
}

#[inline(always)]
fn is_long(dwell_ns: u64) -> bool {
    let least = setting(Setting::RecordMinDwellNs);
    least == 0 || (dwell_ns >= least && dwell_ns != DWELL_UNKNOWN)
}

/// Reserve, fill, submit, count a failure.
#[inline(always)]
fn send(transition: &Transition, memory: &SocketMemory) {
    let Some(mut entry) = EVENTS.reserve::<TransitionRecord>(0) else {
        count(Counter::RingFull);
        return;
    };
    entry.write(TransitionRecord {
        kind: kind::TRANSITION,
        from: transition.from,
        to: transition.to,
        role: memory.role,
        netns: transition.netns,
        time_ns: transition.time_ns,
        dwell_ns: transition.dwell_ns,
        cookie: memory.cookie,
        tuple: memory.tuple,
        opener: memory.opener,
        error: transition.error,
        bound: transition.bound,
        flags: transition.flags,
        pad: [0; 2],
    });
    entry.submit(0);
}

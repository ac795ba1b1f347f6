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
    pub error: i32,
    pub bound: u8,
    pub flags: u8,
}

impl Transition {
    /// That of a mini-socket.
    #[inline(always)]
    pub fn of_mini(told: &Move) -> Self {
        Self {
            from: told.from,
            to: told.to,
            time_ns: told.time_ns,
            dwell_ns: told.dwell_ns,
            error: 0,
            bound: told.bound,
            flags: told.flags,
        }
    }
}

/// What can tell its network namespace. Nobody asks twice, and nobody who need not know: the number
/// lies beside a count of references that every new socket changes.
pub trait InNetns {
    /// Inode number, 0: not known.
    fn netns(self) -> u32;
}

/// All that is done with a transition of the socket that `memory` is about.
#[inline(always)]
pub fn observe(transition: &Transition, memory: &mut SocketMemory, sk: impl InNetns + Copy) {
    if setting(Setting::Filter) & filter::NETNS != 0 {
        learn_netns(memory, sk);
    }
    if passes(memory) {
        histogram::count(transition.from, transition.dwell_ns, transition.bound, memory);
        if may_want(transition.from, transition.to) && is_long(transition.dwell_ns) {
            learn_netns(memory, sk);
            send(transition, memory);
        }
    }
}

#[inline(always)]
fn learn_netns(memory: &mut SocketMemory, sk: impl InNetns) {
    if memory.netns == 0 {
        memory.netns = sk.netns();
    }
}

/// Sends a record of the transition with which a socket began, if user space wants to hear of it:
/// there was no state before in which time was spent.
#[inline(always)]
pub fn tell_birth(transition: &Transition, memory: &mut SocketMemory, sk: impl InNetns) {
    if may_want(transition.from, transition.to) && is_long(transition.dwell_ns) {
        learn_netns(memory, sk);
        if passes(memory) {
            send(transition, memory);
        }
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
        netns: memory.netns,
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

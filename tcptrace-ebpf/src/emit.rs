//! Records into the ring: reserve, fill, submit, count a failure.

use tcptrace_common::counter::Counter;
use tcptrace_common::memory::SocketMemory;
use tcptrace_common::record::{DWELL_UNKNOWN, TransitionRecord, kind};
use tcptrace_common::setting::Setting;

use crate::config::setting;
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

/// Whether user space wants to hear of this transition.
#[inline(always)]
pub fn is_wanted(from: u8, dwell_ns: u64) -> bool {
    let least = setting(Setting::RecordMinDwellNs);
    let is_long = least == 0 || (dwell_ns >= least && dwell_ns != DWELL_UNKNOWN);
    setting(Setting::RecordStates) & (1 << (from & 31)) != 0 && is_long
}

/// Sends a transition of the socket that `memory` is about.
#[inline(always)]
pub fn transition(transition: &Transition, memory: &SocketMemory) {
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

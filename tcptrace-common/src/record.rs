//! Records in the ring buffer `EVENTS`: what just happened. A record may be lost (and is then
//! counted); nothing in a report rests on one.

use crate::memory::{Task, Tuple};
use crate::wire;

/// First byte of every record.
pub mod kind {
    /// [`super::TransitionRecord`].
    pub const TRANSITION: u8 = 1;
}

/// [`TransitionRecord::dwell_ns`] of a dwell that began before the trace or after a loss.
pub const DWELL_UNKNOWN: u64 = u64::MAX;

/// One transition of one socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TransitionRecord {
    /// [`kind::TRANSITION`].
    pub kind: u8,
    /// State before.
    pub from: u8,
    /// State after.
    pub to: u8,
    /// [`crate::memory::role`].
    pub role: u8,
    /// Inode number of the socket's network namespace.
    pub netns: u32,
    /// Time of the transition, ns, monotonic clock.
    pub time_ns: u64,
    /// Time spent in `from`, ns, or [`DWELL_UNKNOWN`].
    pub dwell_ns: u64,
    /// Socket cookie, 0: not known.
    pub cookie: u64,
    /// Endpoints.
    pub tuple: Tuple,
    /// Who opened the socket.
    pub opener: Task,
    /// `sk_err` at the transition.
    pub error: i32,
    /// Padding.
    pub pad: u32,
}
wire!(TransitionRecord, 112);

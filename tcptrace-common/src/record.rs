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

/// [`TransitionRecord::bound`]: what a dwell that is known says.
pub mod bound {
    /// Exactly so long.
    pub const EXACT: u8 = 0;
    /// So long or longer.
    pub const AT_LEAST: u8 = 1;
    /// So long or shorter.
    pub const AT_MOST: u8 = 2;
}

/// Bits of [`TransitionRecord::flags`].
pub mod transition_flag {
    /// A mini-socket made it, which carries FIN_WAIT2 and TIME_WAIT for a closed socket.
    pub const MINI_SOCKET: u8 = 1;
    /// Time was up: the mini-socket's timer ended the state.
    pub const EXPIRED: u8 = 2;
    /// No `struct socket` is attached: not accepted yet, or closed by its last holder.
    pub const ORPHAN: u8 = 4;
}

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
    /// [`bound`]: what [`Self::dwell_ns`] says.
    pub bound: u8,
    /// [`transition_flag`].
    pub flags: u8,
    /// Padding.
    pub pad: [u8; 2],
}
wire!(TransitionRecord, 112);

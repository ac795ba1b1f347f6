//! Mini-sockets: what the kernel keeps of a connection in FIN_WAIT2 or TIME_WAIT once the socket
//! itself is gone.
//!
//! No tracepoint tells of their states. When the socket goes to CLOSE, its mini-socket is there already:
//! that is the hand-over. What becomes of it then, functions of the kernel tell, where they can be hooked.
//! Where not, its timer does ([`way`]): where that is cancelled and does not wait again a moment later, it
//! was the end. So the kernel side keeps at most one [`MiniEnd`] a CPU of which it has not decided yet.

use crate::memory::{SocketMemory, Task, memory_flag};
use crate::record::{DWELL_UNKNOWN, bound, transition_flag};
use crate::tcp::state;
use crate::wire;

/// How mini-sockets are followed; written into the map `MINI_WAY` once the hooks for it are in place.
pub mod way {
    /// Not at all.
    pub const NONE: u64 = 0;
    /// By their timers.
    pub const TIMERS: u64 = 1;
    /// By the functions of the kernel that reschedule them and put an end to them.
    pub const FUNCTIONS: u64 = 2;
}

/// For so many mini-sockets there is room in a table of the kernel side's own, before any goes to
/// the map `MINIS_FAR`: as many as `tcp_max_tw_buckets` lets a network namespace of a large host have
/// in TIME_WAIT by default. It takes 16 MiB.
pub const NEAR_MINIS: u32 = 1 << 18;

/// What is remembered of a connection that a mini-socket carries: a cache line. Its endpoints are
/// in the mini-socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MiniMemory {
    /// Address of the mini-socket, where it lies in the table; 0: the place is free.
    pub sk: u64,
    /// Socket cookie.
    pub cookie: u64,
    /// When [`Self::state`] was entered, ns, monotonic clock; 0: not known.
    pub since_ns: u64,
    /// Who opened the socket.
    pub opener: Task,
    /// Inode number of the network namespace; 0: nobody has asked for it yet.
    pub netns: u32,
    /// The state that was told last.
    pub state: u8,
    /// [`crate::memory::role`].
    pub role: u8,
    /// [`memory_flag`].
    pub flags: u8,
    /// Padding.
    pub pad: u8,
}
wire!(MiniMemory, 64);

impl MiniMemory {
    /// Nothing is known.
    pub const EMPTY: Self = Self {
        sk: 0,
        cookie: 0,
        since_ns: 0,
        opener: Task::EMPTY,
        netns: 0,
        state: 0,
        role: 0,
        flags: 0,
        pad: 0,
    };
}

/// The timer of a mini-socket was cancelled: its end, unless it is started again. Where functions tell, its
/// end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MiniEnd {
    /// Address of the mini-socket; 0: there is none.
    pub sk: u64,
    /// When, ns, monotonic clock.
    pub time_ns: u64,
    /// Latest moment at which TIME_WAIT can have begun, ns; 0: it has been told, or is not there.
    pub time_wait_ns: u64,
    /// State at the end: FIN_WAIT2 or TIME_WAIT.
    pub substate: u8,
    /// 1: time was up.
    pub expired: u8,
    /// Padding.
    pub pad: [u8; 6],
    /// What is remembered of the connection. [`SocketMemory::state`] is the state that was told
    /// last, 0 where the mini-socket is older than the trace.
    pub memory: SocketMemory,
}
wire!(MiniEnd, 216);

/// One move of a mini-socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Move {
    /// State before.
    pub from: u8,
    /// State after.
    pub to: u8,
    /// When, ns, monotonic clock.
    pub time_ns: u64,
    /// Time spent in `from`, ns, or [`DWELL_UNKNOWN`].
    pub dwell_ns: u64,
    /// [`bound`] of the dwell.
    pub bound: u8,
    /// [`transition_flag`].
    pub flags: u8,
}

impl MiniEnd {
    /// The move to TIME_WAIT, where that was not seen when it happened: the kernel leaves a timer
    /// alone if its new time falls into the slot that it is in already.
    #[must_use]
    #[inline(always)]
    pub fn unseen_time_wait(&self) -> Option<Move> {
        self.has_moved().then(|| to_time_wait(&self.memory, self.time_wait_ns, bound::AT_MOST))
    }

    /// Whether it is in TIME_WAIT and was told in FIN_WAIT2 last.
    #[must_use]
    #[inline(always)]
    pub fn has_moved(&self) -> bool {
        self.memory.state == state::FIN_WAIT2 && self.substate == state::TIME_WAIT
    }

    /// The move to CLOSE; [`Self::unseen_time_wait`] has been applied to the memory.
    #[must_use]
    #[inline(always)]
    pub fn close(&self) -> Move {
        let known = self.memory.state == self.substate && self.memory.since_ns != 0;
        let dwell_ns = self.time_ns.saturating_sub(self.memory.since_ns);
        let late = self.memory.flags & memory_flag::SINCE_LATEST != 0;
        let expired = if self.expired == 0 { 0 } else { transition_flag::EXPIRED };
        Move {
            from: self.substate,
            to: state::CLOSE,
            time_ns: self.time_ns,
            dwell_ns: if known { dwell_ns } else { DWELL_UNKNOWN },
            bound: if late { bound::AT_LEAST } else { bound::EXACT },
            flags: transition_flag::MINI_SOCKET | transition_flag::ORPHAN | expired,
        }
    }
}

/// The move from FIN_WAIT2 to TIME_WAIT of a mini-socket.
#[must_use]
#[inline(always)]
pub fn to_time_wait(memory: &SocketMemory, time_ns: u64, bound: u8) -> Move {
    let known = memory.since_ns != 0;
    let dwell_ns = time_ns.saturating_sub(memory.since_ns);
    Move {
        from: state::FIN_WAIT2,
        to: state::TIME_WAIT,
        time_ns,
        dwell_ns: if known { dwell_ns } else { DWELL_UNKNOWN },
        bound,
        flags: transition_flag::MINI_SOCKET | transition_flag::ORPHAN,
    }
}

/// What is remembered once `told` has been told.
#[inline(always)]
pub fn enter(memory: &mut SocketMemory, told: &Move) {
    memory.state = told.to;
    memory.since_ns = told.time_ns;
    memory.flags &= !memory_flag::SINCE_LATEST;
    if told.bound != bound::EXACT {
        memory.flags |= memory_flag::SINCE_LATEST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(state: u8, substate: u8) -> MiniEnd {
        let memory = SocketMemory { state, since_ns: 1000, ..SocketMemory::default() };
        MiniEnd { sk: 1, time_ns: 9000, substate, memory, ..MiniEnd::default() }
    }

    #[test]
    fn a_time_wait_that_was_seen_ends_exactly() {
        let end = end(state::TIME_WAIT, state::TIME_WAIT);
        assert_eq!(end.unseen_time_wait(), None);
        let close = end.close();
        assert_eq!((close.dwell_ns, close.bound), (8000, bound::EXACT));
    }

    #[test]
    fn one_that_was_not_seen_is_told_with_bounds_that_add_up() {
        let mut end = end(state::FIN_WAIT2, state::TIME_WAIT);
        end.time_wait_ns = 3000;
        let hidden = end.unseen_time_wait().unwrap();
        assert_eq!((hidden.time_ns, hidden.dwell_ns, hidden.bound), (3000, 2000, bound::AT_MOST));
        enter(&mut end.memory, &hidden);
        let close = end.close();
        assert_eq!((close.from, close.dwell_ns, close.bound), (6, 6000, bound::AT_LEAST));
        assert_eq!(hidden.dwell_ns + close.dwell_ns, 8000);
    }

    #[test]
    fn a_mini_socket_older_than_the_trace_has_no_dwell() {
        let end = end(0, state::TIME_WAIT);
        assert_eq!(end.unseen_time_wait(), None);
        assert_eq!(end.close().dwell_ns, DWELL_UNKNOWN);
    }

    #[test]
    fn a_fin_wait2_that_times_out_says_so() {
        let end = MiniEnd { expired: 1, ..end(state::FIN_WAIT2, state::FIN_WAIT2) };
        assert_eq!(end.unseen_time_wait(), None);
        let close = end.close();
        assert_eq!((close.from, close.to, close.dwell_ns), (5, 7, 8000));
        assert_ne!(close.flags & transition_flag::EXPIRED, 0);
    }
}

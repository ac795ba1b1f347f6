//! What the outputs of `stream` get: transitions with their times on the wall and how they ended,
//! and what the run amounts to.

use std::borrow::Cow;
use std::net::IpAddr;

use tcptrace_common::memory::Task;
use tcptrace_common::record::transition_flag;

use super::end::{Circumstances, End};
use super::event::{Dwell, Transition};
use super::report::Degradation;
use super::socket::{Endpoint, Endpoints, Role, State};

/// One line of `stream`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, wall clock, ns since 1970.
    pub time_ns: u64,
    /// When, ns since the trace began.
    pub since_start_ns: u64,
    /// State before.
    pub from: State,
    /// State after.
    pub to: State,
    /// Time spent in the state before.
    pub dwell: Dwell,
    /// Socket cookie; `None`: not known yet.
    pub cookie: Option<u64>,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Both ends; a listener has no peer.
    pub ends: Endpoints,
    /// Who called connect(), listen() or accept(); its name is raw bytes, padded with NULs.
    pub opener: Option<Task>,
    /// How it came to its connection.
    pub role: Role,
    /// How it ended; `None`: it has not.
    pub end: Option<End>,
    /// `sk_err` where it is not 0: an `errno`.
    pub error: Option<i32>,
    /// Whether a mini-socket made the transition.
    pub mini_socket: bool,
}

/// Which time a line for people begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeColumn {
    /// The time of day.
    Wall,
    /// Seconds since the trace began.
    Relative,
    /// None.
    None,
}

/// What turns the kernel side's times and facts into lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Frame {
    /// When the trace began, ns, monotonic clock.
    pub started_ns: u64,
    /// What is to be added to the monotonic clock to get the wall clock, ns.
    pub wall_offset_ns: u64,
}

impl Frame {
    /// The line that shows a transition.
    #[must_use]
    pub fn line(&self, transition: &Transition) -> Line {
        let record = &transition.record;
        let role = Role::from_kernel(record.role);
        let opener = (record.opener.pid != 0).then_some(record.opener);
        let end = End::of(&Circumstances {
            from: transition.from,
            to: transition.to,
            error: record.error,
            flags: record.flags,
            role,
            has_opener: opener.is_some(),
        });
        let ends = Endpoints::from_tuple(&record.tuple);
        Line {
            time_ns: record.time_ns.wrapping_add(self.wall_offset_ns),
            since_start_ns: record.time_ns.saturating_sub(self.started_ns),
            from: transition.from,
            to: transition.to,
            dwell: transition.dwell(),
            cookie: (record.cookie != 0).then_some(record.cookie),
            netns: record.netns,
            ends: Endpoints { local: ends.local, remote: peer(ends.remote) },
            opener,
            role,
            end,
            error: (record.error != 0).then_some(record.error),
            mini_socket: record.flags & transition_flag::MINI_SOCKET != 0,
        }
    }
}

/// An address that stands for none, of a socket that has no peer, is none.
fn peer(remote: Endpoint) -> Endpoint {
    let is_none =
        remote.port.is_none() && remote.addr.is_some_and(|addr: IpAddr| addr.is_unspecified());
    if is_none { Endpoint { addr: None, port: None } } else { remote }
}

/// What a run of `stream` amounts to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// When it ended, wall clock, ns since 1970.
    pub time_ns: u64,
    /// Kernel release.
    pub kernel: String,
    /// How long the trace has run, ns.
    pub traced_ns: u64,
    /// Transitions that the kernel side has seen.
    pub events: u64,
    /// Lines that were printed.
    pub shown: u64,
    /// Transitions that the kernel does not make, see [`super::machine`]; shown all the same.
    pub odd: u64,
    /// What was lost: frozen token and count, zero counts included.
    pub lost: Vec<(Cow<'static, str>, u64)>,
    /// What this host lacks.
    pub degradations: Vec<Degradation>,
}

impl Summary {
    /// How many things were lost, of all kinds.
    #[must_use]
    pub fn lost_total(&self) -> u64 {
        self.lost.iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use tcptrace_common::memory::{Tuple, role};
    use tcptrace_common::record::{TransitionRecord, kind};
    use tcptrace_common::tcp::{AF_INET, AF_INET6, state};

    use super::*;

    const FRAME: Frame = Frame { started_ns: 100, wall_offset_ns: 1000 };

    fn record() -> TransitionRecord {
        let mut record = TransitionRecord {
            kind: kind::TRANSITION,
            from: state::ESTABLISHED,
            to: state::CLOSE,
            role: role::PASSIVE,
            netns: 42,
            time_ns: 350,
            dwell_ns: 7,
            cookie: 9,
            error: 104,
            ..TransitionRecord::default()
        };
        record.tuple.family = AF_INET;
        record.tuple.local_addr[..4].copy_from_slice(&[10, 0, 0, 1]);
        record.tuple.remote_addr[..4].copy_from_slice(&[10, 0, 0, 7]);
        (record.tuple.local_port, record.tuple.remote_port) = (80, 40000);
        (record.opener.pid, record.opener.tid) = (5, 6);
        record
    }

    fn line(record: &TransitionRecord) -> Line {
        let transition = (*record).try_into().unwrap();
        FRAME.line(&transition)
    }

    #[test]
    fn a_record_becomes_a_line() {
        let line = line(&record());
        assert_eq!((line.time_ns, line.since_start_ns), (1350, 250));
        assert_eq!((line.dwell, line.cookie, line.netns), (Dwell::Exact(7), Some(9), 42));
        assert_eq!((line.role, line.end), (Role::Passive, Some(End::PeerReset)));
        assert_eq!((line.error, line.opener.map(|task| task.tid)), (Some(104), Some(6)));
        assert_eq!(line.ends.local.to_string(), "10.0.0.1:80");
    }

    #[test]
    fn what_is_not_known_is_none() {
        let line = line(&TransitionRecord {
            cookie: 0,
            opener: Task::default(),
            error: 0,
            tuple: Tuple::default(),
            time_ns: 99,
            ..record()
        });
        assert_eq!((line.cookie, line.opener, line.error), (None, None, None));
        assert_eq!(line.ends.local.to_string(), "?:?");
        assert_eq!(line.since_start_ns, 0, "not before the beginning");
    }

    #[test]
    fn who_has_no_peer_has_no_address_of_one() {
        for family in [AF_INET, AF_INET6] {
            let mut listener = record();
            listener.tuple.family = family;
            (listener.tuple.remote_addr, listener.tuple.remote_port) = ([0; 16], 0);
            listener.tuple.local_addr = [0; 16];
            let ends = line(&listener).ends;
            assert_eq!((ends.remote.addr, ends.remote.port), (None, None));
            assert!(ends.local.addr.is_some_and(|addr| addr.is_unspecified()), "it listens there");
            assert!(ends.family().is_some());
        }
    }
}

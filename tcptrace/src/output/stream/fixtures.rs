//! Lines made by hand.

use tcptrace_common::memory::Task;

use crate::lifecycle::end::End;
use crate::lifecycle::event::Dwell;
use crate::lifecycle::report::Degradation;
use crate::lifecycle::socket::{Endpoint, Endpoints, Role, State};
use crate::lifecycle::stream::{Line, Summary};

const START: u64 = 1_795_313_880_123_456_789;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

/// What `who` is made of: process id, name.
pub fn task(pid: u32, comm: &[u8]) -> Option<Task> {
    let mut task = Task { pid, tid: pid + 1, start_ns: u64::from(pid) * S, comm: [0; 16] };
    task.comm[..comm.len()].copy_from_slice(comm);
    Some(task)
}

/// `10.0.0.1:80`, `[::1]:80`; `?` for what is not known.
pub fn end(text: &str) -> Endpoint {
    let (addr, port) = text.rsplit_once(':').unwrap();
    Endpoint { addr: addr.trim_matches(['[', ']']).parse().ok(), port: port.parse().ok() }
}

/// A line of an accepted socket, `ms` after the first one.
pub fn line(ms: u64, ends: (&str, &str), from: State, to: State, dwell: Dwell) -> Line {
    Line {
        time_ns: START + ms * MS,
        since_start_ns: S + ms * MS,
        from,
        to,
        dwell,
        cookie: Some(4711),
        netns: 4_026_531_840,
        ends: Endpoints { local: end(ends.0), remote: end(ends.1) },
        opener: task(4244, b"nginx"),
        role: Role::Passive,
        end: None,
        error: None,
        mini_socket: false,
    }
}

const SERVER: (&str, &str) = ("10.77.0.1:443", "10.77.0.2:51234");
const CLIENT: (&str, &str) = ("10.77.0.2:51234", "10.77.0.1:443");

/// A connection from both sides, a client's mini-socket included.
pub fn ipv4() -> Vec<Line> {
    use State::*;
    let client = |ms, from, to, dwell| Line {
        role: Role::Active,
        opener: task(5120, b"curl"),
        cookie: Some(4712),
        ..line(ms, CLIENT, from, to, dwell)
    };
    let listener = Line {
        role: Role::Listener,
        ..line(0, ("0.0.0.0:443", "?:?"), Close, Listen, Dwell::Unknown)
    };
    let connecting = line(2, ("10.77.0.2:?", "10.77.0.1:443"), Close, SynSent, Dwell::Unknown);
    vec![
        listener,
        Line { role: Role::Active, opener: task(5120, b"curl"), cookie: None, ..connecting },
        Line { opener: None, ..line(3, SERVER, Listen, SynRecv, Dwell::Unknown) },
        Line { opener: None, ..line(3, SERVER, SynRecv, Established, Dwell::Exact(12_345)) },
        client(3, SynSent, Established, Dwell::Exact(987_654)),
        client(63_003, Established, FinWait1, Dwell::Exact(63 * S)),
        line(63_003, SERVER, Established, CloseWait, Dwell::Exact(63 * S)),
        client(63_003, FinWait1, FinWait2, Dwell::Exact(42_000)),
        line(63_303, SERVER, CloseWait, LastAck, Dwell::Exact(300 * MS)),
        Line {
            end: Some(End::PeerClose),
            ..line(63_303, SERVER, LastAck, Close, Dwell::Exact(78_000))
        },
        Line { mini_socket: true, ..client(63_303, FinWait2, TimeWait, Dwell::AtLeast(252 * MS)) },
        Line {
            mini_socket: true,
            end: Some(End::LocalClose),
            ..client(123_353, TimeWait, Close, Dwell::AtMost(60_050 * MS))
        },
    ]
}

/// Long addresses and long ends.
pub fn ipv6() -> Vec<Line> {
    use State::*;
    let long = (
        "[2001:db8:1234:5678:9abc:def0:1234:5678]:51234",
        "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
    );
    let short = ("[::1]:8080", "[::1]:40000");
    vec![
        line(0, short, Established, CloseWait, Dwell::Exact(1)),
        line(1, long, Established, CloseWait, Dwell::AtLeast(3599 * S)),
        Line {
            end: Some(End::ListenerClosed),
            opener: None,
            ..line(2, long, CloseWait, Close, Dwell::AtLeast(3599 * S))
        },
        Line {
            end: Some(End::Error),
            error: Some(71),
            role: Role::Unknown,
            opener: task(4_194_304, b"redis-server"),
            ..line(3, long, Established, Close, Dwell::Unknown)
        },
        line(4, ("10.0.0.1:80", "10.0.0.2:1"), Established, CloseWait, Dwell::Exact(S)),
    ]
}

/// Every end, little known, a name that attacks terminals, the longest IPv4 addresses.
pub fn odd() -> Vec<Line> {
    use State::*;
    let longest = ("192.168.100.101:51234", "203.0.113.254:65535");
    let mut lines = vec![
        Line {
            opener: task(7, b"\x1b[2J\"\\\xff\x9bm"),
            ..line(0, longest, Established, CloseWait, Dwell::Unknown)
        },
        Line {
            opener: task(8, "日本語".as_bytes()),
            ..line(0, SERVER, SynRecv, CloseWait, Dwell::Unknown)
        },
        Line {
            opener: None,
            cookie: None,
            role: Role::Unknown,
            ..line(1, ("?:?", "?:?"), NewSynRecv, Listen, Dwell::Unknown)
        },
    ];
    for end in End::ALL {
        lines.push(Line {
            end: Some(end),
            error: (end == End::Error).then_some(-1),
            opener: task(123_456, b"0123456789abcde"),
            ..line(2, longest, Established, Close, Dwell::AtLeast(59 * 60 * S))
        });
    }
    lines
}

/// What comes last.
pub fn summary() -> Summary {
    Summary {
        time_ns: START + 60 * S,
        kernel: "6.18.0".into(),
        traced_ns: 61 * S,
        events: 20,
        shown: 12,
        odd: 1,
        lost: vec![("ring_full".into(), 3), ("memory_full".into(), 0)],
        degradations: vec![Degradation { token: "no-accept".into(), sentence: "…".into() }],
    }
}

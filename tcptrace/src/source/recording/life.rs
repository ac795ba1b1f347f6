//! The recording of some lives that the golden files `tests/recordings/life.*` come from: what a
//! census shows, a connection from connect() to the end of TIME_WAIT and its other end, which leaks, a
//! refused connect(), and a reset.

use tcptrace_common::census::{CensusMemory, CensusRow, census_flag};
use tcptrace_common::memory::{Task, Tuple, role};
use tcptrace_common::record::{DWELL_UNKNOWN, TransitionRecord, bound, kind, transition_flag};
use tcptrace_common::tcp::{AF_INET, AF_INET6, state};

use super::fixtures::{BOOT, SECOND, leaking, look, named};
use super::{Header, Writer};
use crate::lifecycle::census::Counted;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/recordings/life.rec");
const MS: u64 = 1_000_000;

fn task(pid: u32, name: &[u8]) -> Task {
    let mut comm = [0; 16];
    comm[..name.len()].copy_from_slice(name);
    Task { start_ns: u64::from(pid) * 10, pid, tid: pid, comm }
}

fn v4(last: u8) -> [u8; 16] {
    [10, 0, 0, last, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

fn ends(local: (u8, u16), remote: (u8, u16)) -> Tuple {
    let (local_addr, remote_addr) = (v4(local.0), v4(remote.0));
    let (local_port, remote_port) = (local.1, remote.1);
    Tuple { local_addr, remote_addr, family: AF_INET, local_port, remote_port, pad: 0 }
}

/// A socket that moves on, and when it did last, ms.
struct Mover {
    own: TransitionRecord,
    at: u64,
}

impl Mover {
    fn new(cookie: u64, tuple: Tuple, role: u8, opener: Task) -> Self {
        let own = TransitionRecord {
            kind: kind::TRANSITION,
            cookie,
            tuple,
            role,
            opener,
            netns: 1,
            ..TransitionRecord::default()
        };
        Self { own, at: 0 }
    }

    /// To a state at a time, ms, from the one before. The first move has no dwell.
    fn to(&mut self, to: u8, at: u64) -> TransitionRecord {
        let dwell_ns = if self.at == 0 { DWELL_UNKNOWN } else { (at - self.at) * MS };
        let from = if self.at == 0 { self.own.from } else { self.own.to };
        self.at = at;
        self.own = TransitionRecord { from, to, time_ns: at * MS, dwell_ns, ..self.own };
        self.own
    }
}

fn client() -> Vec<TransitionRecord> {
    let mut own = Mover::new(21, ends((1, 50_000), (2, 80)), role::ACTIVE, task(71, b"curl"));
    own.own.from = state::CLOSE;
    let mut moves = vec![
        own.to(state::SYN_SENT, 10),
        own.to(state::ESTABLISHED, 12),
        own.to(state::FIN_WAIT1, 112),
        own.to(state::FIN_WAIT2, 113),
    ];
    own.own.flags = transition_flag::MINI_SOCKET | transition_flag::ORPHAN;
    moves.push(TransitionRecord { bound: bound::AT_MOST, ..own.to(state::TIME_WAIT, 400) });
    let last = own.to(state::CLOSE, 60_500);
    let flags = last.flags | transition_flag::EXPIRED;
    moves.push(TransitionRecord { bound: bound::AT_LEAST, flags, ..last });
    moves
}

fn server() -> Vec<TransitionRecord> {
    let mut own = Mover::new(22, ends((2, 80), (1, 50_000)), role::PASSIVE, Task::default());
    own.own.from = state::LISTEN;
    let births = [own.to(state::SYN_RECV, 11), own.to(state::ESTABLISHED, 12)];
    own.own.opener = task(7, b"server");
    births.into_iter().chain([own.to(state::CLOSE_WAIT, 113)]).collect()
}

/// One that nobody answers, and one over IPv6 from before the trace that is reset.
fn failures() -> Vec<TransitionRecord> {
    let mut refused =
        Mover::new(23, ends((1, 50_001), (2, 81)), role::ACTIVE, task(72, b"x\x1b[1m"));
    refused.own.from = state::CLOSE;
    let mut moves = vec![refused.to(state::SYN_SENT, 20), refused.to(state::CLOSE, 21)];
    moves[1].error = 111;
    let tuple = Tuple {
        local_addr: [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        remote_addr: [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
        family: AF_INET6,
        ..ends((0, 443), (0, 50_002))
    };
    let mut reset = Mover::new(24, tuple, role::UNKNOWN, Task::default());
    reset.own.from = state::ESTABLISHED;
    reset.own.error = 104;
    moves.push(reset.to(state::CLOSE, 500));
    moves
}

/// Who was there at the beginning: a listener, the one that is reset later, and a TIME_WAIT.
fn census() -> Vec<Counted> {
    let row = |cookie, state, flags, tuple| CensusRow {
        cookie,
        inode: 900,
        tuple,
        netns: 1,
        state,
        flags,
        ..CensusRow::default()
    };
    let listener = row(20, state::LISTEN, census_flag::HAS_SOCKET, ends((2, 80), (0, 0)));
    let old = row(24, state::ESTABLISHED, census_flag::HAS_SOCKET, failures()[2].tuple);
    let mini = row(25, state::TIME_WAIT, census_flag::MINI_SOCKET, ends((2, 80), (3, 40_000)));
    let memory = CensusMemory {
        now_ns: 6 * MS,
        since_ns: 2 * MS,
        opener: task(7, b"server"),
        state: state::LISTEN,
        role: role::LISTENER,
        ..CensusMemory::default()
    };
    let rows = [(listener, Some(memory)), (old, None), (mini, None)];
    rows.map(|(row, memory)| Counted::new(row, memory).unwrap()).into()
}

fn recording() -> Vec<u8> {
    let header =
        Header { kernel: "6.18".to_owned(), interval_ns: SECOND, ..Header::new(BOOT * SECOND, 0) };
    let mut events = [client(), server(), failures()].concat();
    events.sort_by_key(|own| own.time_ns);
    let (early, late): (Vec<_>, Vec<_>) = events.into_iter().partition(|own| own.time_ns < SECOND);
    let mut bytes = Vec::new();
    let mut writer = Writer::begin(&mut bytes, &header).unwrap();
    writer.begin_census().unwrap();
    census().iter().for_each(|own| writer.counted(own).unwrap());
    writer.end_census(7 * MS).unwrap();
    for (now, events) in [(1, early), (61, late)] {
        events.iter().for_each(|own| writer.event(own).unwrap());
        let look = look(now, vec![leaking(22, now, now)]);
        assert!(writer.look(&look, &named(&look)).unwrap());
    }
    writer.finish().unwrap();
    bytes
}

/// It is made once and then left alone: `cargo test -p tcptrace --lib -- --ignored make_the_lives`.
#[test]
#[ignore = "makes a file"]
fn make_the_lives() {
    std::fs::write(SAMPLE, recording()).unwrap();
}

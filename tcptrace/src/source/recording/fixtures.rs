//! Looks made by hand.

use std::sync::Arc;

use tcptrace_common::memory::{SocketMemory, Task, Tuple, role};
use tcptrace_common::record::TransitionRecord;
use tcptrace_common::row::{SocketRow, row_flag};
use tcptrace_common::tcp::{AF_INET, IPPROTO_TCP, socket_state, state};

use crate::lifecycle::details::Details;
use crate::lifecycle::history::{History, Seen};
use crate::lifecycle::leak::Question;
use crate::lifecycle::look::Look;
use crate::lifecycle::names::{fill_in, fill_in_stacks};
use crate::lifecycle::namespaces::Namespaces;
use crate::lifecycle::report::{Degradation, Leak};
use crate::lifecycle::rows::{Held, Rows, SocketNow};
use crate::lifecycle::stack::{Frame, Language, Stack, StackStatus};

/// ns.
pub const SECOND: u64 = 1_000_000_000;
/// When the monotonic clock was 0, s since 1970.
pub const BOOT: u64 = 1_795_000_000;
/// The server.
pub const SERVER: u32 = 7;

fn task(pid: u32, name: &[u8]) -> Task {
    let mut comm = [0; 16];
    comm[..name.len()].copy_from_slice(name);
    Task { start_ns: u64::from(pid) * 10, pid, tid: pid + 1, comm }
}

/// A socket in CLOSE_WAIT for `age` seconds at `now`, accepted by [`SERVER`].
pub fn leaking(cookie: u64, now: u64, age: u64) -> SocketNow {
    let [low, ..] = cookie.to_le_bytes();
    let tuple = Tuple {
        local_addr: [127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        remote_addr: [10, 0, 0, low % 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        family: AF_INET,
        local_port: 80,
        remote_port: 40_000 + u16::from(low),
        pad: 0,
    };
    let row = SocketRow {
        sk: 0xffff_8880_0000_0000 + cookie,
        cookie,
        inode: 900 + cookie,
        now_ns: now * SECOND,
        jiffies: (1 << 32) - 300 * 250 + now * 250,
        tuple,
        netns: 1,
        state: state::CLOSE_WAIT,
        socket_state: socket_state::CONNECTED,
        protocol: IPPROTO_TCP,
        flags: row_flag::HAS_SOCKET | row_flag::FIN_RECEIVED,
        rcv_nxt: 101,
        copied_seq: 100,
        ..SocketRow::default()
    };
    let memory = SocketMemory {
        cookie,
        state: state::CLOSE_WAIT,
        since_ns: (now - age) * SECOND,
        leak_since_ns: (now - age) * SECOND,
        open_stack: 1000 + cookie % 2,
        opener: task(SERVER, b"server"),
        role: role::PASSIVE,
        ..SocketMemory::default()
    };
    SocketNow { row, memory: Some(memory) }
}

/// [`leaking`] after a read returned end-of-file.
pub fn read(cookie: u64, now: u64, age: u64) -> SocketNow {
    let mut socket = leaking(cookie, now, age);
    socket.row.copied_seq = socket.row.rcv_nxt;
    if let Some(memory) = &mut socket.memory {
        memory.eof_ns = (now - age) * SECOND + 5;
        memory.eof_reader = task(9, b"reader");
        memory.eof_stack = 2000;
    }
    socket
}

/// A listener of [`SERVER`], and a connection that waits in its queue.
pub fn queued(cookie: u64, now: u64, age: u64) -> [SocketNow; 2] {
    let mut child = leaking(cookie, now, age);
    let mut listener = leaking(cookie + 1, now, age);
    child.row.listener = listener.row.sk;
    (child.row.inode, child.row.flags) = (0, row_flag::FIN_RECEIVED);
    (child.row.tuple.local_port, listener.row.tuple.local_port) = (443, 443);
    listener.row.state = state::LISTEN;
    (listener.row.backlog, listener.row.backlog_max) = (1, 5);
    child.memory = None;
    let [a, b, c, d, ..] = (child.row.jiffies - age * 250).to_le_bytes();
    child.row.last_ack_received = u32::from_le_bytes([a, b, c, d]);
    child.row.last_data_received = child.row.last_ack_received;
    [child, listener]
}

/// [`leaking`] whose connection is over, in another namespace.
pub fn dead(cookie: u64, now: u64, age: u64) -> SocketNow {
    let mut socket = leaking(cookie, now, age);
    (socket.row.state, socket.row.netns) = (state::CLOSE, 2);
    if let Some(memory) = &mut socket.memory {
        memory.state = state::CLOSE;
    }
    socket
}

/// A look at `now` seconds at these sockets, each held by [`SERVER`] that is not in a queue.
pub fn look(now: u64, sockets: Vec<SocketNow>) -> Look {
    let task = task(SERVER, b"server");
    let with_inode = sockets.iter().filter(|socket| socket.row.inode != 0);
    let held = (3..).zip(with_inode).map(|(fd, socket)| Held { task, fd, socket: *socket });
    let seen = Seen { state: state::CLOSE_WAIT, since_ns: 5, was_unheld: true, snd_una: 77 };
    let held = held.collect();
    let in_tables = sockets.into_iter().filter(|socket| socket.row.state != state::CLOSE);
    let rows =
        Rows { held, sockets: in_tables.collect(), namespaces: Namespaces::of([1, 2], [1, 2, 3]) };
    Look {
        rows,
        history: History::from_iter([(1, seen)]),
        question: Question {
            min_age_ns: 0,
            traced_ns: (now - 1) * SECOND,
            wall_offset_ns: BOOT * SECOND,
            sees_all_processes: true,
        },
        started_ns: SECOND,
        now_ns: now * SECOND + 1,
        wall_ns: (BOOT + now) * SECOND + 1,
        events: 12,
        lost: vec![("ring_full".into(), 3)],
        degradations: vec![Degradation { token: "no-x".into(), sentence: "no \"x\"".into() }],
    }
}

/// What a process tells of itself.
pub fn details(pid: u32) -> Details {
    Details {
        exe: Some(format!("/usr/bin/ser\"ver\\xff{pid}")),
        label: Some("app".into()),
        uid: Some(33),
        cgroup: Some("/a".into()),
        fd_used: Some(9),
        fd_limit: Some(64),
        ..Details::default()
    }
}

/// The stack with an id.
pub fn stack(id: u64) -> Arc<Stack> {
    if id == 0 {
        return Stack::of_id(0);
    }
    let frame = Frame {
        language: Language::Python,
        function: Some(format!("handle_{id}")),
        file: Some("app.py".to_owned()),
        line: Some(3),
        ..Frame::default()
    };
    let status = StackStatus::Truncated("no rule".to_owned());
    Arc::new(Stack { id, status, frames: vec![frame], key: Some(format!("k{id}")) })
}

/// Fills in the names of processes.
pub fn name_processes(leaks: &mut [Leak]) {
    fill_in(leaks, &mut |pid, _| details(pid));
}

/// Fills in the stacks.
pub fn name_stacks(leaks: &mut [Leak]) {
    fill_in_stacks(leaks, &mut stack);
}

/// The leaks of a look, whatever their age, with names.
pub fn named(look: &Look) -> Vec<Leak> {
    let mut leaks = look.find(0).leaks;
    name_processes(&mut leaks);
    name_stacks(&mut leaks);
    leaks
}

/// A socket leaves CLOSE_WAIT after so many seconds.
pub fn record(cookie: u64, dwell: u64) -> TransitionRecord {
    let dwell_ns = dwell * SECOND;
    TransitionRecord { kind: 1, from: 8, to: 9, cookie, dwell_ns, ..TransitionRecord::default() }
}

use super::*;
use crate::lifecycle::rows::tests::sample_row;
use tcptrace_common::row::SocketRow;

const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 1000 * SECOND;
const JIFFIES: u64 = (1 << 32) + 100_000;

fn ago(ms: u64) -> u32 {
    (JIFFIES - ms / 4) as u32
}

/// An accepted socket whose FIN alone waits, last heard of 10 s ago.
fn socket() -> SocketNow {
    let row = SocketRow {
        now_ns: NOW,
        jiffies: JIFFIES,
        last_ack_received: ago(10_000),
        last_data_received: ago(20_000),
        last_data_sent: ago(20_000),
        ..sample_row()
    };
    SocketNow { row, memory: None }
}

fn task(pid: u32, start_ns: u64) -> Task {
    Task { pid, start_ns, ..Task::default() }
}

fn held(task: Task) -> Held {
    Held { task, fd: 3, socket: socket() }
}

fn memory() -> SocketMemory {
    SocketMemory {
        state: state::CLOSE_WAIT,
        since_ns: NOW - 7 * SECOND,
        leak_since_ns: NOW - 7 * SECOND,
        opener: task(5, 50),
        ..SocketMemory::default()
    }
}

fn case<'a>(socket: &'a SocketNow, holders: &'a [&'a Held], seen: Option<Seen>) -> Case<'a> {
    Case {
        socket,
        holders,
        seen,
        jiffies: Some(Jiffies { rate: 250 }),
        quiet_ns: 5 * SECOND,
        sees_all_processes: true,
    }
}

fn seen(since_ns: u64) -> Seen {
    Seen { state: state::CLOSE_WAIT, since_ns, was_unheld: true, snd_una: 0 }
}

#[test]
fn a_traced_age_is_exact_and_another_has_bounds() {
    let mut socket = socket();
    let untraced = case(&socket, &[], None).close_wait_age();
    let min = 10 * SECOND - 4_000_000;
    assert_eq!(untraced, Age::Between { min, max: Some(20 * SECOND + 4_000_000) });
    socket.memory = Some(memory());
    assert_eq!(case(&socket, &[], None).close_wait_age(), Age::Exact(7 * SECOND));
}

#[test]
fn a_missed_transition_never_gives_an_exact_age() {
    let mut socket = socket();
    socket.memory = Some(SocketMemory { state: state::ESTABLISHED, ..memory() });
    assert!(!case(&socket, &[], None).close_wait_age().is_exact());
    socket.memory = Some(SocketMemory { leak_since_ns: 0, ..memory() });
    assert!(!case(&socket, &[], None).close_wait_age().is_exact());
}

#[test]
fn an_earlier_snapshot_raises_the_lower_bound_that_keepalive_resets() {
    let mut socket = socket();
    socket.row.last_ack_received = ago(100);
    let age = case(&socket, &[], Some(seen(NOW - 15 * SECOND))).close_wait_age();
    assert_eq!(age.at_least(), Some(15 * SECOND));
}

#[test]
fn the_receive_queue_tells_what_was_read() {
    let holder = held(task(5, 50));
    let mut socket = socket();
    let mut causes = |copied| {
        socket.row.copied_seq = copied;
        case(&socket, &[&holder], None).close_wait_causes()
    };
    assert_eq!(causes(100), [Cause::EofNotRead]);
    assert_eq!(causes(90), [Cause::DataNotRead]);
    assert_eq!(causes(101), [Cause::FinConsumedNotClosed]);
}

#[test]
fn a_witness_turns_consumed_into_read() {
    let holder = held(task(5, 50));
    let mut socket = socket();
    socket.row.copied_seq = 101;
    socket.memory = Some(SocketMemory { eof_ns: 1, ..memory() });
    assert_eq!(case(&socket, &[&holder], None).close_wait_causes(), [Cause::EofReadNotClosed]);
}

#[test]
fn without_a_socket_it_was_never_accepted() {
    let mut socket = socket();
    socket.row.flags = 0;
    let causes = case(&socket, &[], None).close_wait_causes();
    assert_eq!(causes, [Cause::NeverAccepted, Cause::EofNotRead]);
}

#[test]
fn the_kernel_is_blamed_only_after_a_second_look() {
    let socket = socket();
    let first = case(&socket, &[], None);
    assert!(first.needs_second_look());
    assert_eq!(first.close_wait_causes(), [Cause::EofNotRead]);
    let moved = Seen { was_unheld: false, ..seen(NOW - 1) };
    assert!(case(&socket, &[], Some(moved)).needs_second_look());
    let second = case(&socket, &[], Some(seen(NOW - 1)));
    assert_eq!(second.close_wait_causes(), [Cause::HeldByKernel, Cause::EofNotRead]);
}

#[test]
fn a_reused_pid_is_another_process() {
    let mut socket = socket();
    socket.memory = Some(memory());
    let (same, reused) = (held(task(5, 50)), held(task(5, 51)));
    let causes = |holder: &Held| case(&socket, &[holder], None).close_wait_causes();
    assert_eq!(causes(&same), [Cause::EofNotRead]);
    assert_eq!(causes(&reused), [Cause::HeldByOther, Cause::EofNotRead]);
}

#[test]
fn sending_after_the_fin_is_a_half_close_until_it_goes_quiet() {
    let holder = held(task(5, 50));
    let mut socket = socket();
    socket.row.copied_seq = 101;
    socket.memory = Some(memory());
    let mut causes = |sent: u32, quiet_ms| {
        socket.row.write_seq = sent;
        socket.row.snd_una = sent;
        socket.row.last_data_sent = ago(quiet_ms);
        case(&socket, &[&holder], None).close_wait_causes()
    };
    assert_eq!(causes(10, 100)[0], Cause::HalfClose);
    assert_eq!(causes(10, 6000)[0], Cause::FinConsumedNotClosed);
    assert_eq!(causes(0, 100)[0], Cause::FinConsumedNotClosed);
}

#[test]
fn sending_lately_raises_a_question_that_a_second_look_answers() {
    let holder = held(task(5, 50));
    let mut socket = socket();
    socket.row.copied_seq = 101;
    socket.row.last_ack_received = ago(50);
    socket.row.last_data_sent = ago(50);
    assert!(case(&socket, &[&holder], None).needs_second_look());
    let second = case(&socket, &[&holder], Some(seen(NOW - SECOND / 5))).close_wait_causes();
    assert_eq!(second, [Cause::HalfClose, Cause::FinConsumedNotClosed]);
}

#[test]
fn unsent_data_that_does_not_move_blocks() {
    let holder = held(task(5, 50));
    let mut socket = socket();
    socket.row.write_seq = 500;
    assert!(case(&socket, &[&holder], None).needs_second_look());
    let stuck = case(&socket, &[&holder], Some(seen(NOW - 1))).close_wait_causes();
    assert_eq!(stuck, [Cause::SendBlocked, Cause::EofNotRead]);
    let moving = Seen { snd_una: u32::MAX, ..seen(NOW - 1) };
    let moving = case(&socket, &[&holder], Some(moving)).close_wait_causes();
    assert_eq!(moving, [Cause::EofNotRead]);
}

/// A socket in CLOSE with a descriptor.
fn dead(error: i32, fin: bool) -> SocketNow {
    let mut socket = socket();
    socket.row.state = state::CLOSE;
    socket.row.error = error;
    socket.row.flags = row_flag::HAS_SOCKET | if fin { row_flag::FIN_RECEIVED } else { 0 };
    socket
}

#[test]
fn the_dead_are_reset_or_closed() {
    let verdict = |error, fin, remembered: Option<i32>| {
        let mut socket = dead(error, fin);
        socket.memory =
            remembered.map(|end_error| SocketMemory { state: state::CLOSE, end_error, ..memory() });
        case(&socket, &[], None).dead_causes()[0]
    };
    assert_eq!(verdict(104, false, None), Cause::DeadReset);
    assert_eq!(verdict(0, false, None), Cause::DeadReset, "error consumed, no FIN");
    assert_eq!(verdict(0, true, None), Cause::DeadClosed);
    assert_eq!(verdict(0, true, Some(32)), Cause::DeadReset, "reset in CLOSE_WAIT");
    assert_eq!(verdict(0, true, Some(0)), Cause::DeadClosed);
}

#[test]
fn a_dead_age_that_is_not_known_is_not_zero() {
    let age = |fin| case(&dead(0, fin), &[], None).dead_age();
    assert_eq!(age(false), Age::AtMost(10 * SECOND + 4_000_000));
    assert_eq!(age(true), Age::AtMost(20 * SECOND + 4_000_000));
    assert_eq!(age(true).at_least(), None);
}

#[test]
fn who_dies_in_close_wait_has_leaked_since_the_fin() {
    let mut socket = dead(32, true);
    let dead = SocketMemory { state: state::CLOSE, since_ns: NOW - SECOND, ..memory() };
    socket.memory = Some(dead);
    assert_eq!(case(&socket, &[], None).dead_age(), Age::Exact(7 * SECOND));
    socket.memory = Some(SocketMemory { leak_since_ns: 0, ..dead });
    assert_eq!(case(&socket, &[], None).dead_age().at_least(), Some(SECOND));
    let seen = Some(seen(NOW - 4 * SECOND));
    assert_eq!(case(&socket, &[], seen).dead_age().at_least(), Some(4 * SECOND));
    assert_eq!(case(&socket, &[], seen).dead_causes(), [Cause::DeadReset, Cause::EofNotRead]);
}

#[test]
fn probes_make_the_lower_bound_weak() {
    let mut socket = socket();
    let seconds = |seconds: u32| seconds * 250;
    socket.row.keepalive_after = seconds(5);
    assert!(!case(&socket, &[], None).is_lower_bound_weak());
    socket.row.flags |= row_flag::KEEPALIVE;
    assert!(case(&socket, &[], None).is_lower_bound_weak());
    socket.row.keepalive_after = seconds(7200);
    assert!(!case(&socket, &[], None).is_lower_bound_weak(), "10 s of silence: no probe yet");
    socket.row.keepalive_after = seconds(5);
    socket.memory = Some(memory());
    assert!(!case(&socket, &[], None).is_lower_bound_weak(), "traced");
}

#[test]
fn a_child_that_read_the_end_is_no_other() {
    let mut socket = socket();
    socket.row.copied_seq = 101;
    let child = held(task(6, 60));
    let eof_reader = task(6, 60);
    socket.memory = Some(SocketMemory { eof_ns: 1, eof_reader, ..memory() });
    let causes = case(&socket, &[&child], None).close_wait_causes();
    assert_eq!(causes, [Cause::EofReadNotClosed]);
}

#[test]
fn a_failed_connect_is_not_dead() {
    let mut socket = dead(111, false);
    socket.row.socket_state = socket_state::UNCONNECTED;
    assert!(!case(&socket, &[], None).was_connected());
    socket.row.socket_state = socket_state::CONNECTING;
    socket.row.last_data_received = 0;
    assert!(!case(&socket, &[], None).was_connected());
    socket.memory = Some(SocketMemory { flags: memory_flag::ESTABLISHED, ..memory() });
    assert!(case(&socket, &[], None).was_connected(), "a non-blocking connect that worked");
}

use tcptrace_common::Wire as _;
use tcptrace_common::memory::{Tuple, role};
use tcptrace_common::row::{HolderRow, NamespaceRow, RowHeader, kind};
use tcptrace_common::tcp::AF_INET;

use super::*;

fn row(cookie: u64, state: u8) -> CensusRow {
    let tuple = Tuple {
        local_addr: [10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        remote_addr: [10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        family: AF_INET,
        local_port: 80,
        remote_port: 40_000,
        pad: 0,
    };
    CensusRow {
        cookie,
        inode: cookie + 100,
        tuple,
        netns: 7,
        state,
        flags: census_flag::HAS_SOCKET,
        ..CensusRow::default()
    }
}

fn counted(cookie: u64, state: u8) -> Counted {
    Counted::new(row(cookie, state), None).unwrap()
}

fn task(pid: u32) -> Task {
    let mut comm = [0; 16];
    comm[..4].copy_from_slice(b"java");
    Task { start_ns: 1, pid, tid: pid, comm }
}

fn encode(kind: u32, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>() as u32;
    let mut bytes = RowHeader { kind, length }.as_bytes().to_vec();
    parts.iter().for_each(|part| bytes.extend_from_slice(part));
    bytes
}

fn sample() -> Vec<u8> {
    let remembered = CensusRow { flags: census_flag::REMEMBERED, ..row(2, state::CLOSE_WAIT) };
    let memory = CensusMemory {
        now_ns: 50,
        since_ns: 20,
        state: state::CLOSE_WAIT,
        role: role::PASSIVE,
        opener: task(9),
        ..CensusMemory::default()
    };
    let holder = HolderRow { task: task(8), fd: 5, pad: 0 };
    [
        encode(kind::COUNTED, &[row(1, state::ESTABLISHED).as_bytes()]),
        encode(kind::COUNTED, &[remembered.as_bytes(), memory.as_bytes()]),
        encode(kind::COUNTED_HOLDER, &[holder.as_bytes(), row(3, state::CLOSE).as_bytes()]),
        encode(kind::NAMESPACE, &[NamespaceRow::default().as_bytes()]),
        encode(99, &[b"a kind of the future"]),
        encode(kind::COUNTED, &[row(4, 77).as_bytes()]),
    ]
    .concat()
}

fn fed(pieces: &[&[u8]]) -> anyhow::Result<Vec<Row>> {
    let (mut decoder, mut rows) = (Decoder::default(), Vec::new());
    for piece in pieces {
        decoder.feed(piece, |row| rows.push(row))?;
    }
    decoder.finish()?;
    Ok(rows)
}

#[test]
fn rows_are_the_same_however_the_bytes_are_cut() {
    let bytes = sample();
    let whole = fed(&[&bytes]).unwrap();
    assert_eq!(whole.len(), 4, "unknown kinds and states are left out");
    for at in 0..=bytes.len() {
        assert_eq!(fed(&[&bytes[..at], &bytes[at..]]).unwrap(), whole, "cut at {at}");
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(fed(&single).unwrap(), whole);
}

#[test]
fn what_is_cut_short_or_lies_about_its_length_is_an_error() {
    let bytes = sample();
    let one = RowHeader::SIZE + CensusRow::SIZE;
    for length in 1..one {
        assert!(fed(&[&bytes[..length]]).is_err(), "{length}");
    }
    for length in [0, 1, 63, 65, 120, u32::MAX] {
        let header = RowHeader { kind: kind::COUNTED, length };
        let lie = [header.as_bytes(), &[0; 200]].concat();
        assert!(fed(&[&lie]).is_err(), "{length}");
    }
}

#[test]
fn what_is_remembered_counts_where_nothing_was_missed() {
    let Row::Socket(socket) = fed(&[&sample()]).unwrap()[1] else { panic!() };
    assert_eq!((socket.age(), socket.role()), (Age::Exact(30), Role::Passive));
    assert_eq!(socket.opener().unwrap().pid, 9);
    let other = CensusMemory { state: state::ESTABLISHED, since_ns: 20, ..CensusMemory::default() };
    let missed = Counted::new(row(2, state::CLOSE_WAIT), Some(other)).unwrap();
    assert_eq!((missed.age(), missed.opener()), (Age::Unknown, None));
    assert_eq!(counted(1, state::LISTEN).age(), Age::Unknown);
}

#[test]
fn a_listener_has_no_remote_end() {
    let listener = counted(1, state::LISTEN);
    assert_eq!((listener.ends.remote.addr, listener.ends.remote.port), (None, None));
    assert_eq!(listener.ends.family(), Some("ipv4"));
}

fn holders(held: &[(u32, u64)], wanted: &[u32]) -> Holders {
    let mut holders = Holders::default();
    for (pid, cookie) in held {
        let socket = counted(*cookie, state::ESTABLISHED);
        holders.note(&task(*pid), &socket, &mut |process| wanted.contains(&process.pid));
    }
    holders
}

#[test]
fn a_socket_counts_for_each_process_and_once_in_the_total() {
    let held = holders(&[(1, 10), (1, 10), (2, 10), (2, 11)], &[1, 2]);
    let mut tally = Tally::new(By::Process);
    for cookie in [10, 11, 12] {
        tally.add(&counted(cookie, state::ESTABLISHED), &held);
    }
    let keys = tally.keys(&held);
    let shown: Vec<(Option<u32>, u64)> = keys
        .iter()
        .map(|row| match &row.key {
            KeyName::Process(process) => {
                (process.as_ref().map(|process| process.pid), row.counts.total())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(shown, [(Some(2), 2), (None, 1), (Some(1), 1)]);
    assert_eq!((tally.total().total(), tally.shared()), (3, 1));
}

#[test]
fn a_process_that_is_not_wanted_holds_and_does_not_count() {
    let held = holders(&[(1, 10), (2, 10), (2, 11)], &[1]);
    let of = |cookie| held.of(&counted(cookie, state::ESTABLISHED)).count();
    assert_eq!((of(10), of(11), of(12)), (1, 0, 0));
    assert!(held.is_held(&counted(11, state::ESTABLISHED)));
    assert!(!held.is_held(&counted(12, state::ESTABLISHED)));
}

#[test]
fn the_listener_of_mptcp_is_held_by_inode() {
    let with = |cookie, flags, state| {
        let row = CensusRow { inode: 5, flags, ..row(cookie, state) };
        Counted::new(row, None).unwrap()
    };
    let mut holders = Holders::default();
    let own = with(1, census_flag::MPTCP, state::LISTEN);
    holders.note(&task(1), &own, &mut |_| true);
    let tcp = with(2, census_flag::SUBFLOW | census_flag::HAS_SOCKET, state::LISTEN);
    assert!(!tcp.is_of_mptcp() && holders.is_held(&tcp));
    assert_eq!(holders.of(&tcp).count(), 1);
    assert!(with(3, census_flag::SUBFLOW, state::ESTABLISHED).is_of_mptcp());
}

#[test]
fn each_key_is_counted_most_first() {
    let mut tally = Tally::new(By::LocalPort);
    let none = Holders::default();
    for (cookie, port) in [(1, 80), (2, 443), (3, 443), (4, 0), (5, 22)] {
        let mut row = row(cookie, state::ESTABLISHED);
        row.tuple.local_port = port;
        tally.add(&Counted::new(row, None).unwrap(), &none);
    }
    let keys: Vec<KeyName> = tally.keys(&none).into_iter().map(|row| row.key).collect();
    let port = KeyName::LocalPort;
    assert_eq!(keys, [port(Some(443)), port(None), port(Some(22)), port(Some(80))]);
}

#[test]
fn by_state_there_is_one_key_even_of_nothing() {
    let tally = Tally::new(By::State);
    assert_eq!(tally.keys(&Holders::default()).len(), 1);
}

#[test]
fn every_state_but_requests_has_a_place() {
    for (_, state, _) in State::ALL {
        assert_eq!(states().any(|own| own == state), state != State::NewSynRecv, "{state:?}");
    }
    assert_eq!(State::bits(&[]), 0b1_1111_1111_1110);
    assert_eq!(State::bits(&[State::CloseWait, State::Close]), 1 << 8 | 1 << 7);
}

use tcptrace_common::histogram::{AT_LEAST, AT_MOST, FINE, KERNEL, KeyedSlot, OUTGOING, UNKNOWN};
use tcptrace_common::memory::{Task, Tuple, role};
use tcptrace_common::record::{TransitionRecord, bound};
use tcptrace_common::tcp::{AF_INET, AF_INET6};

use super::census::{Still, count};
use super::dwells::Dwells;
use super::key::{By, Key};
use super::report::rows;
use super::selection::Selection;
use super::stats::{Stats, histogram};
use super::tally::Tally;
use crate::lifecycle::age::Age;
use crate::lifecycle::event::Transition;
use crate::lifecycle::filter::{Family, Filter};
use crate::lifecycle::pattern::Pattern;
use crate::lifecycle::socket::{Endpoint, Endpoints, Role, State};

const MS: u64 = 1_000_000;
const DAY: u64 = 86_400_000_000_000;

fn tally(times: &[(u64, u64)]) -> Tally {
    let mut tally = Tally::new(KERNEL);
    times.iter().for_each(|(ns, count)| tally.add_bucket(KERNEL.index(*ns), *count));
    tally
}

/// Of a server's socket, which `java` accepted.
fn transition(dwell_ns: Option<u64>) -> Transition {
    let mut record = TransitionRecord { netns: 42, role: role::PASSIVE, ..Default::default() };
    record.opener = Task { pid: 7, comm: *b"java\0\0\0\0\0\0\0\0\0\0\0\0", ..Task::default() };
    let (mut local_addr, mut remote_addr) = ([0; 16], [0; 16]);
    local_addr[..4].copy_from_slice(&[10, 0, 0, 1]);
    remote_addr[..4].copy_from_slice(&[10, 9, 0, 7]);
    record.tuple = Tuple {
        local_addr,
        remote_addr,
        family: AF_INET,
        local_port: 443,
        remote_port: 40_000,
        pad: 0,
    };
    Transition { from: State::CloseWait, to: State::LastAck, dwell_ns, record }
}

#[test]
fn numbers_are_those_of_the_durations() {
    let stats = Stats::of(&tally(&[(MS, 900), (100 * MS, 90), (10_000 * MS, 10)])).unwrap();
    assert_eq!(stats.count, 1000);
    let mean = (900 * MS + 90 * 100 * MS + 10 * 10_000 * MS) / 1000;
    for (got, wanted) in [
        (stats.min_ns, MS),
        (stats.mean_ns, mean),
        (stats.p50_ns, MS),
        (stats.p90_ns, MS),
        (stats.p99_ns, 100 * MS),
        (stats.p999_ns, 10_000 * MS),
        (stats.max_ns, 10_000 * MS),
    ] {
        assert!(got.abs_diff(wanted) * 50 <= wanted, "{got} {wanted}: {stats:?}");
    }
    assert_eq!(Stats::of(&Tally::new(FINE)), None);
}

/// From one ns to more than 100 days: through the kernel's bucket and HdrHistogram's, within 2 %.
#[test]
fn every_length_comes_out_within_2_percent() {
    let mut ns = 1_u64;
    while ns < 200 * DAY {
        for value in [ns, ns + 1, ns + ns / 3] {
            let stats = Stats::of(&tally(&[(value, 1)])).unwrap();
            for got in [stats.min_ns, stats.mean_ns, stats.p50_ns, stats.max_ns] {
                assert!(got.abs_diff(value) * 50 <= value, "{value}: {stats:?}");
            }
            assert_eq!((stats.min_ns, stats.p50_ns), (stats.max_ns, stats.max_ns));
            assert!(stats.mean_ns.abs_diff(stats.max_ns) <= 1 + (value >> 50), "{stats:?}");
        }
        ns += ns / 7 + 1;
    }
}

/// Single values keep three digits.
#[test]
fn a_streamed_length_has_three_digits() {
    for value in [1, 999, 123_456, 300_123_456, 86_400_123_456_789] {
        let mut tally = Tally::new(FINE);
        tally.add(value);
        let stats = Stats::of(&tally).unwrap();
        assert!(stats.p50_ns.abs_diff(value) * 1000 <= value, "{value}: {stats:?}");
    }
}

#[test]
fn no_count_and_no_length_is_too_large() {
    let huge = tally(&[(u64::MAX, 3), (0, u64::MAX / 4)]);
    assert_eq!(histogram(&huge).unwrap().len(), huge.count());
}

#[test]
fn what_happened_in_between_is_the_difference() {
    let mut earlier = tally(&[(MS, 5)]);
    earlier.unknown = 1;
    let mut later = tally(&[(MS, 7), (100 * MS, 2)]);
    (later.unknown, later.at_least, later.at_most) = (4, 1, 2);
    let mut between = tally(&[(MS, 2), (100 * MS, 2)]);
    (between.unknown, between.at_least, between.at_most) = (3, 1, 2);
    assert_eq!(later.since(&earlier), between);
    assert!(later.since(&later).is_empty());
}

#[test]
fn intervals_add_up_and_what_did_not_move_is_not_in_them() {
    let mut dwells = Dwells::counted();
    let mut reported = dwells.clone();
    let (mut sum, mut pieces) = (0, 0);
    for step in 1..20 {
        dwells.add_slot(Key::All, State::Established, KERNEL.index(step * MS), step % 3);
        dwells.add_slot(Key::All, State::CloseWait, UNKNOWN, step % 2);
        let delta = dwells.since(&reported);
        for ((_, state), tally) in delta.into_tallies() {
            assert!(!tally.is_empty(), "{state:?}");
            sum += tally.count() + tally.unknown;
            pieces += 1;
        }
        reported = dwells.clone();
    }
    let total = dwells.into_tallies();
    assert_eq!(sum, total.values().map(|tally| tally.count() + tally.unknown).sum::<u64>());
    assert!(pieces < 2 * 19, "a state that did not move is in no interval");
}

#[test]
fn slots_and_records_of_the_same_dwells_agree() {
    for by in [By::State, By::Comm, By::LocalPort, By::Remote] {
        let (mut counted, mut streamed) = (Dwells::counted(), Dwells::streamed());
        let key = by.of_record(&transition(None).record);
        for (dwell, how, slot) in [
            (Some(3), bound::EXACT, None),
            (Some(300), bound::AT_LEAST, Some(AT_LEAST)),
            (Some(40 * MS), bound::AT_MOST, Some(AT_MOST)),
            (None, bound::EXACT, None),
        ] {
            let mut transition = transition(dwell);
            transition.record.bound = how;
            streamed.add(&transition, by);
            let bucket = dwell.map_or(UNKNOWN, |ns| KERNEL.index(ns));
            for slot in [Some(bucket), slot].into_iter().flatten() {
                counted.add_slot(key.clone(), State::CloseWait, slot, 1);
            }
        }
        let (counted, streamed) = (counted.into_tallies(), streamed.into_tallies());
        assert_eq!(counted.keys().collect::<Vec<_>>(), streamed.keys().collect::<Vec<_>>());
        for (one, other) in counted.values().zip(streamed.values()) {
            assert_eq!((one.count(), one.unknown), (3, 1));
            assert_eq!((other.count(), other.unknown), (3, 1));
            assert_eq!((one.at_least, one.at_most), (other.at_least, other.at_most));
        }
    }
}

#[test]
fn keys_are_what_the_kernel_side_wrote() {
    let slot = |key: &[u8], family| {
        let mut slot = KeyedSlot { family, ..KeyedSlot::default() };
        slot.key[..key.len()].copy_from_slice(key);
        slot
    };
    assert_eq!(By::Comm.of_slot(&slot(b"java", 0)), Key::Comm(Some("java".to_owned())));
    assert_eq!(By::Comm.of_slot(&slot(b"", 0)), Key::Comm(None));
    let port = 443_u16.to_ne_bytes();
    assert_eq!(By::LocalPort.of_slot(&slot(&port, 0)), Key::LocalPort(Some(443)));
    assert_eq!(By::LocalPort.of_slot(&slot(b"", 0)), Key::LocalPort(None));
    assert_eq!(By::LocalPort.of_slot(&slot(b"", OUTGOING)), Key::Outgoing);
    let remote = |text: &str| Key::Remote(Some(text.parse().unwrap()));
    assert_eq!(By::Remote.of_slot(&slot(&[10, 0, 0, 7], AF_INET)), remote("10.0.0.7"));
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 7];
    assert_eq!(By::Remote.of_slot(&slot(&mapped, AF_INET6)), remote("10.0.0.7"));
    for (key, family) in [(&[0; 4], AF_INET), (&[0; 4], AF_INET6), (&[10; 4], 0)] {
        assert_eq!(By::Remote.of_slot(&slot(key, family)), Key::Remote(None), "{family}");
    }
    assert_eq!((By::State.without_key(), By::Remote.without_key()), (Key::All, Key::Other));
}

fn states(states: Vec<State>) -> Selection {
    Selection::new(Filter { states, ..Filter::default() })
}

#[test]
fn a_name_needs_a_stream() {
    let comm = Filter { comms: vec![Pattern::parse_comm("ja*").unwrap()], ..Filter::default() };
    assert_eq!(Selection::new(comm).beyond_counts(), Some("--comm"));
    let others = Filter {
        pids: vec![1],
        local_ports: vec![1..=2],
        local_nets: vec!["::/0".parse().unwrap()],
        family: Some(Family::V6),
        netns: vec![1],
        states: vec![State::CloseWait],
        ..Filter::default()
    };
    assert_eq!(Selection::new(others).beyond_counts(), None);
}

#[test]
fn states_are_chosen_by_bits() {
    let only = states(vec![State::CloseWait, State::SynSent]);
    assert_eq!(State::bits(&only.filter.states), 1 << 8 | 1 << 2);
    assert_eq!(State::bits(&Selection::default().filter.states), 0b1_1111_1111_1110);
    assert!(only.keeps_state(State::CloseWait) && !only.keeps_state(State::Established));
}

#[test]
fn a_streamed_dwell_is_held_against_every_filter() {
    let keeps = |filter| Selection::new(filter).keeps(&transition(Some(1)));
    let glob = |text| vec![Pattern::parse_comm(text).unwrap()];
    let net = |text: &str| vec![text.parse().unwrap()];
    assert!(keeps(Filter::default()));
    for (yes, no) in [
        (
            Filter { pids: vec![7], ..Filter::default() },
            Filter { pids: vec![8], ..Filter::default() },
        ),
        (
            Filter { comms: glob("ja*"), ..Filter::default() },
            Filter { comms: glob("nginx"), ..Filter::default() },
        ),
        (
            Filter { local_ports: vec![400..=500], ..Filter::default() },
            Filter { local_ports: vec![80..=80], ..Filter::default() },
        ),
        (
            Filter { remote_ports: vec![40_000..=40_000], ..Filter::default() },
            Filter { remote_ports: vec![443..=443], ..Filter::default() },
        ),
        (
            Filter { local_nets: net("10.0.0.0/24"), ..Filter::default() },
            Filter { local_nets: net("10.9.0.0/24"), ..Filter::default() },
        ),
        (
            Filter { remote_nets: net("10.9.0.0/24"), ..Filter::default() },
            Filter { remote_nets: net("10.0.0.0/24"), ..Filter::default() },
        ),
        (
            Filter { family: Some(Family::V4), ..Filter::default() },
            Filter { family: Some(Family::V6), ..Filter::default() },
        ),
        (
            Filter { netns: vec![42], ..Filter::default() },
            Filter { netns: vec![43], ..Filter::default() },
        ),
    ] {
        assert!(keeps(yes.clone()), "{yes:?}");
        assert!(!keeps(no.clone()), "{no:?}");
    }
    let other = states(vec![State::Established]);
    assert!(!other.keeps(&transition(Some(1))));
}

#[test]
fn of_an_opener_that_is_not_known_its_holder_decides() {
    let mut unknown = transition(Some(1));
    unknown.record.opener = Task::default();
    let pid = Filter { pids: vec![7], ..Filter::default() };
    let comm = Filter { comms: vec![Pattern::parse_comm("*").unwrap()], ..Filter::default() };
    for filter in [pid, comm] {
        let mut selection = Selection::new(filter);
        assert!(!selection.keeps(&unknown));
        selection.held.insert(unknown.record.cookie + 1);
        assert!(!selection.keeps(&unknown));
        selection.held.insert(unknown.record.cookie);
        assert!(selection.keeps(&unknown));
        // Who opened it is known, and is another.
        let mut other = transition(Some(1));
        (other.record.opener.pid, other.record.opener.comm) = (9, [0; 16]);
        assert!(!selection.keeps(&other));
    }
}

fn still(state: State, age: Age, comm: Option<&str>, role: Role) -> Still {
    let end = |addr: &str, port| Endpoint { addr: addr.parse().ok(), port: Some(port) };
    let ends = Endpoints { local: end("10.0.0.1", 443), remote: end("10.9.0.7", 40_000) };
    let (pid, comm) = (comm.map(|_| 7), comm.map(str::to_owned));
    Still { cookie: 0, state, age, role, ends, netns: 42, pid, comm }
}

#[test]
fn a_census_counts_each_socket_once_and_says_how_well_its_age_is_known() {
    let ages = [
        Age::Exact(5 * MS),
        Age::Between { min: 7 * MS, max: Some(9 * MS) },
        Age::Between { min: 0, max: Some(9 * MS) },
        Age::AtMost(3 * MS),
        Age::Between { min: 0, max: None },
        Age::Unknown,
    ];
    let sockets = ages.map(|age| still(State::CloseWait, age, Some("java"), Role::Passive));
    let counted = count(sockets.iter(), By::State);
    let tally = &counted[&(Key::All, State::CloseWait)];
    assert_eq!((counted.len(), tally.count(), tally.unknown), (1, 4, 2));
    assert_eq!((tally.at_least, tally.at_most), (1, 2));
}

#[test]
fn a_census_has_the_keys_of_dwells() {
    let sockets = [
        still(State::Established, Age::Unknown, None, Role::Active),
        still(State::Established, Age::Unknown, Some("java"), Role::Unknown),
    ];
    let keys = |by| count(sockets.iter(), by).into_keys().map(|(key, _)| key).collect::<Vec<_>>();
    assert_eq!(keys(By::LocalPort), [Key::LocalPort(Some(443)), Key::Outgoing]);
    assert_eq!(keys(By::Comm), [Key::Comm(None), Key::Comm(Some("java".to_owned()))]);
    assert_eq!(keys(By::Remote), [Key::Remote("10.9.0.7".parse().ok())]);
    let netns = |netns| {
        let filter = Filter { netns: vec![netns], ..Filter::default() };
        Selection::new(filter).keeps_still(&sockets[0])
    };
    assert!(netns(42) && !netns(43));
}

#[test]
fn rows_come_by_size_of_the_key_and_order_of_life() {
    let mut dwells = Dwells::counted();
    let port = |port| Key::LocalPort(Some(port));
    for (key, state, count) in [
        (port(80), State::CloseWait, 5),
        (port(80), State::Established, 5),
        (port(443), State::Established, 50),
        (Key::Other, State::Established, 1000),
    ] {
        dwells.add_slot(key, state, KERNEL.index(MS), count);
    }
    let sockets = [still(State::LastAck, Age::Unknown, None, Role::Passive)];
    let rows = rows(dwells, count(sockets.iter(), By::LocalPort));
    let order: Vec<_> = rows.iter().map(|row| (row.key.clone(), row.state)).collect();
    assert_eq!(
        order,
        [
            (port(443), State::Established),
            (port(443), State::LastAck),
            (port(80), State::Established),
            (port(80), State::CloseWait),
            (Key::Other, State::Established),
        ]
    );
    assert!(rows[1].dwells.is_none() && rows[1].still.is_some(), "nothing has left it");
}

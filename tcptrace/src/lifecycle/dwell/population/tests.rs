use tcptrace_common::census::{CensusMemory, CensusRow, census_flag};
use tcptrace_common::memory::{Task, role};
use tcptrace_common::record::{DWELL_UNKNOWN, TransitionRecord, bound};
use tcptrace_common::row::SocketRow;
use tcptrace_common::tcp::state;

use super::*;
use crate::lifecycle::age::Age;
use crate::lifecycle::rows::SocketNow;

const OPENER: Task = Task { start_ns: 3, pid: 7, tid: 7, comm: *b"java\0\0\0\0\0\0\0\0\0\0\0\0" };

fn moved(cookie: u64, from: State, to: State, time_ns: u64) -> Transition {
    let record = TransitionRecord {
        cookie,
        time_ns,
        role: role::PASSIVE,
        netns: 5,
        dwell_ns: DWELL_UNKNOWN,
        ..TransitionRecord::default()
    };
    Transition { from, to, dwell_ns: None, record }
}

/// A socket that was established at 100 ns.
fn counted(cookie: u64) -> Counted {
    let state = state::ESTABLISHED;
    let row = CensusRow { cookie, state, ..CensusRow::default() };
    let memory = CensusMemory {
        since_ns: 100,
        now_ns: 150,
        state,
        opener: OPENER,
        ..CensusMemory::default()
    };
    Counted::new(row, Some(memory)).unwrap()
}

fn dead(cookie: u64) -> SocketNow {
    let row = SocketRow { cookie, state: state::CLOSE, ..SocketRow::default() };
    SocketNow { row, memory: None }
}

/// Cookie, state, age, pid of each socket, at 1000 ns.
fn all(population: &Population) -> Vec<(u64, State, Age, Option<u32>)> {
    let stills = population.stills(1000);
    let mut all: Vec<_> = stills.map(|own| (own.cookie, own.state, own.age, own.pid)).collect();
    all.sort_by_key(|(cookie, ..)| *cookie);
    all
}

#[test]
fn a_census_tells_who_was_there_and_transitions_what_became_of_them() {
    let mut population = Population::default();
    assert!(!population.is_known());
    population.count(&[]);
    population.count(&[counted(1), counted(2), counted(3)]);
    assert!(!population.is_known() && all(&population).is_empty());
    population.settle();
    assert!(population.is_known());
    population.apply(&moved(1, State::Established, State::CloseWait, 400));
    population.apply(&moved(2, State::Established, State::Close, 500));
    population.apply(&moved(9, State::Close, State::SynSent, 600));
    assert_eq!(
        all(&population),
        [
            (1, State::CloseWait, Age::Exact(600), None),
            (3, State::Established, Age::Exact(900), Some(7)),
            (9, State::SynSent, Age::Exact(400), None),
        ]
    );
}

/// It takes a while, and whoever moved meanwhile may have been counted before or after that.
#[test]
fn what_moved_during_a_census_is_told_by_its_transitions() {
    let mut population = Population::default();
    population.count(&[]);
    population.apply(&moved(1, State::Established, State::CloseWait, 400));
    population.apply(&moved(2, State::Established, State::Close, 400));
    population.count(&[counted(1), counted(2), counted(3)]);
    population.settle();
    let expected = [
        (1, State::CloseWait, Age::Exact(600), Some(7)),
        (3, State::Established, Age::Exact(900), Some(7)),
    ];
    assert_eq!(all(&population), expected, "and a census knows openers that transitions did not");
}

/// An end that was lost would else be missing for ever.
#[test]
fn a_later_census_forgets_whom_it_does_not_find() {
    let mut population = Population::default();
    population.apply(&moved(1, State::SynSent, State::Established, 50));
    population.count(&[counted(2)]);
    population.settle();
    assert_eq!(all(&population), [(2, State::Established, Age::Exact(900), Some(7))]);
}

#[test]
fn dead_sockets_are_those_of_the_latest_look() {
    let mut population = Population::default();
    population.apply(&moved(3, State::Close, State::SynSent, 900));
    population.find_dead(&[dead(1), dead(1), dead(2), dead(3)]);
    let states = |population: &Population| {
        all(population).into_iter().map(|(cookie, state, ..)| (cookie, state)).collect::<Vec<_>>()
    };
    assert_eq!(
        states(&population),
        [(1, State::Close), (2, State::Close), (3, State::SynSent)],
        "one that connects anew is alive"
    );
    population.find_dead(&[dead(2)]);
    assert_eq!(states(&population), [(2, State::Close), (3, State::SynSent)]);
}

#[test]
fn an_age_is_no_better_known_than_its_beginning() {
    let mut population = Population::default();
    let mut late = moved(1, State::FinWait2, State::TimeWait, 400);
    late.record.bound = bound::AT_MOST;
    population.apply(&late);
    population.find_dead(&[dead(2)]);
    assert_eq!(
        all(&population),
        [
            (1, State::TimeWait, Age::Between { min: 600, max: None }, None),
            (2, State::Close, Age::Unknown, None),
        ]
    );
}

#[test]
fn half_open_connections_and_sockets_without_a_cookie_are_not_followed() {
    let mut population = Population::default();
    let flags = census_flag::MINI_SOCKET;
    let row = CensusRow { cookie: 4, state: state::SYN_RECV, flags, ..CensusRow::default() };
    population.count(&[Counted::new(row, None).unwrap(), counted(0)]);
    population.settle();
    population.apply(&moved(0, State::SynSent, State::Established, 50));
    assert_eq!(all(&population), []);
}

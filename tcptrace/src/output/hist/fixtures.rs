//! Sample reports of `hist` for tests of formats.

use tcptrace_common::histogram::KERNEL;

use crate::lifecycle::age::Age;
use crate::lifecycle::dwell::census::{Still, count};
use crate::lifecycle::dwell::dwells::Dwells;
use crate::lifecycle::dwell::key::{By, Key};
use crate::lifecycle::dwell::report::{HistReport, Scope, rows};
use crate::lifecycle::report::Degradation;
use crate::lifecycle::socket::{Endpoint, Endpoints, Role, State};

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;
const UNKNOWN: u64 = tcptrace_common::histogram::UNKNOWN;
const AT_LEAST: u64 = tcptrace_common::histogram::AT_LEAST;
const AT_MOST: u64 = tcptrace_common::histogram::AT_MOST;

fn fill(dwells: &mut Dwells, key: &Key, state: State, times: &[(u64, u64)]) {
    for (ns, count) in times {
        dwells.add_slot(key.clone(), state, KERNEL.index(*ns), *count);
    }
}

fn still(state: State, comm: &str, age: Age) -> Still {
    let end = |addr: &str, port| Endpoint { addr: addr.parse().ok(), port: Some(port) };
    Still {
        cookie: 0,
        state,
        age,
        role: Role::Passive,
        ends: Endpoints { local: end("10.0.0.1", 443), remote: end("10.9.0.7", 40_000) },
        netns: 4_026_531_840,
        pid: Some(7),
        comm: Some(comm.to_owned()),
    }
}

/// Sockets that are still there: 41 in CLOSE_WAIT for minutes, two of them older than the trace.
pub fn stills() -> Vec<Still> {
    let mut stills: Vec<Still> =
        (0..39).map(|n| still(State::CloseWait, "java", Age::Exact((60 + n) * S))).collect();
    stills.push(still(State::CloseWait, "java", Age::Between { min: 252 * S, max: None }));
    stills.push(still(State::CloseWait, "java", Age::Unknown));
    stills.push(still(State::LastAck, "nginx", Age::AtMost(3 * S)));
    stills
}

fn report(by: By, dwells: Dwells, stills: Option<&[Still]>) -> HistReport {
    HistReport {
        made_at_ns: 1_795_313_880_000_000_001,
        scope: Scope::Total,
        span_ns: 42 * S,
        traced_ns: 42 * S,
        by,
        exact: false,
        error: dwells.layout().error(),
        rows: rows(dwells, count(stills.unwrap_or_default().iter(), by)),
        census: stills.is_some(),
        events: 54_321,
        without_key: 0,
        lost: vec![("ring_full".into(), 0), ("transition_missed".into(), 2)],
        degradations: vec![],
        kernel: "6.18.0".to_owned(),
    }
}

/// By state: healthy but for CLOSE_WAIT.
pub fn by_state() -> HistReport {
    let mut dwells = Dwells::counted();
    let all = Key::All;
    fill(&mut dwells, &all, State::SynSent, &[(80 * US, 900), (200 * US, 290), (3 * S, 10)]);
    fill(&mut dwells, &all, State::SynRecv, &[(700, 800), (2 * US, 400)]);
    let established = [(40 * US, 20), (2 * MS, 700), (9 * MS, 1300), (80 * MS, 300), (30 * S, 9)];
    fill(&mut dwells, &all, State::Established, &established);
    fill(&mut dwells, &all, State::FinWait1, &[(90 * US, 1200)]);
    fill(&mut dwells, &all, State::FinWait2, &[(5 * US, 1100), (60 * S, 12)]);
    dwells.add_slot(all.clone(), State::FinWait2, AT_LEAST, 12);
    dwells.add_slot(all.clone(), State::FinWait2, UNKNOWN, 17);
    fill(&mut dwells, &all, State::CloseWait, &[(12 * US, 1100), (300 * MS, 100)]);
    report(By::State, dwells, Some(&stills()))
}

/// By comm: one that attacks terminals, one that is not known, and more than there is room for.
pub fn by_comm() -> HistReport {
    let mut dwells = Dwells::counted();
    for (comm, count) in [(Some("java"), 500), (Some("a,b\x1b[2J c"), 40), (None, 7)] {
        let key = Key::Comm(comm.map(str::to_owned));
        fill(&mut dwells, &key, State::Established, &[(5 * MS, count)]);
        fill(&mut dwells, &key, State::CloseWait, &[(4 * S, count / 2)]);
    }
    fill(&mut dwells, &Key::Other, State::Established, &[(7 * MS, 9000)]);
    dwells.add_slot(Key::Other, State::Established, AT_LEAST, 4);
    dwells.add_slot(Key::Other, State::Established, AT_MOST, 5);
    let degradation = Degradation { token: "no-accept".into(), sentence: "no accept".to_owned() };
    HistReport {
        without_key: 9000,
        scope: Scope::Interval,
        span_ns: 10 * S,
        degradations: vec![degradation],
        ..report(By::Comm, dwells, None)
    }
}

/// Nothing has happened.
pub fn empty() -> HistReport {
    HistReport { lost: vec![], ..report(By::State, Dwells::streamed(), None) }
}

use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::*;
use crate::lifecycle::census::{By, CensusReport, Counts, KeyCounts, KeyName, Process, states};
use crate::lifecycle::report::Degradation;
use crate::lifecycle::text::is_hazard;
use crate::output::cell;
use crate::output::golden::assert_golden;

fn counts(of: &[(State, u32)]) -> Counts {
    let mut counts = Counts::default();
    for (state, count) in of {
        (0..*count).for_each(|_| counts.add(*state));
    }
    counts
}

/// A host with sockets in every state.
fn all() -> Counts {
    counts(&[
        (State::Established, 10_234),
        (State::TimeWait, 1_507),
        (State::CloseWait, 311),
        (State::Listen, 42),
        (State::FinWait2, 17),
        (State::SynRecv, 9),
        (State::Close, 3),
        (State::SynSent, 2),
        (State::FinWait1, 1),
        (State::Closing, 1),
        (State::LastAck, 1),
    ])
}

fn report(by: By, keys: Vec<KeyCounts>) -> CensusReport {
    CensusReport {
        checked_at_ns: 1_795_313_880_000_000_001,
        took_ns: 12_000_000,
        by,
        states: states().collect(),
        keys,
        top: Some(20),
        total: all(),
        shared: 0,
        mptcp: 0,
        namespaces: 3,
        namespaces_unread: 0,
        degradations: vec![],
        kernel: "6.18.0".into(),
    }
}

fn by_state() -> CensusReport {
    report(By::State, vec![KeyCounts { key: KeyName::All, counts: all() }])
}

fn process(pid: u32, comm: &str) -> KeyName {
    let comm = comm.to_owned();
    KeyName::Process(Some(Process { pid, start_time_ns: 77, comm, is_wanted: true }))
}

fn by_process() -> CensusReport {
    let row = |key, of: &[(State, u32)]| KeyCounts { key, counts: counts(of) };
    let keys = vec![
        row(process(4244, "java"), &[(State::Established, 10_000), (State::CloseWait, 300)]),
        row(KeyName::Process(None), &[(State::TimeWait, 1_507), (State::FinWait2, 17)]),
        row(
            process(4_194_303, "evil\x1b[2J\u{202e}name"),
            &[(State::Established, 234), (State::Listen, 42), (State::Close, 3)],
        ),
        row(process(12, "nginx"), &[(State::Established, 2)]),
        row(process(13, "nginx"), &[(State::Established, 1)]),
    ];
    CensusReport {
        top: Some(3),
        shared: 2,
        mptcp: 4,
        namespaces_unread: 1,
        degradations: vec![Degradation {
            token: "namespace-unreadable".into(),
            sentence: "there are namespaces that cannot be entered".into(),
        }],
        ..report(By::Process, keys)
    }
}

fn by(key: KeyName, by: By) -> CensusReport {
    let counts = counts(&[(State::Established, 5), (State::TimeWait, 7)]);
    report(by, vec![KeyCounts { key, counts }])
}

fn each_key() -> Vec<CensusReport> {
    vec![
        by_state(),
        by_process(),
        by(KeyName::Remote("fd77::2".parse().ok()), By::Remote),
        by(KeyName::Remote(None), By::Remote),
        by(KeyName::LocalPort(Some(443)), By::LocalPort),
        by(KeyName::LocalPort(None), By::LocalPort),
        by(KeyName::Netns(4_026_531_840), By::Netns),
    ]
}

fn style() -> Style {
    Style { width: Style::DEFAULT_WIDTH, color: false, zone: TimeZone::UTC }
}

fn lines(report: &CensusReport, style: &Style) -> String {
    let lines = table(report, style);
    lines.iter().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn text(report: &CensusReport) -> String {
    let mut out = Vec::new();
    json(report, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn objects(report: &CensusReport) -> Vec<Map<String, Value>> {
    text(report).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn tables_look_as_agreed() {
    assert_golden("states.txt", &lines(&by_state(), &style()));
    assert_golden("states_by_process.txt", &lines(&by_process(), &style()));
    assert_golden("states_color.txt", &lines(&by_process(), &Style { color: true, ..style() }));
    let wide = CensusReport { top: None, ..by_process() };
    assert_golden("states_wide.txt", &lines(&wide, &Style { width: usize::MAX, ..style() }));
}

#[test]
fn objects_look_as_agreed() {
    assert_golden("states.jsonl", &text(&by_state()));
    assert_golden("states_by_process.jsonl", &text(&by_process()));
}

#[test]
fn a_line_fits_whatever_is_in_it() {
    for report in each_key() {
        for width in [40, 60, 80, 100] {
            for line in table(&report, &Style { width, ..style() }) {
                let columns = cell::width(&line);
                assert!(columns <= width.max(72), "{columns} of {width}: {line}");
                assert!(!line.contains(is_hazard), "{line:?}");
            }
        }
    }
}

#[test]
fn what_is_left_out_is_counted() {
    let shown = lines(&by_process(), &style());
    assert!(shown.contains("and 2 more"), "{shown}");
    let objects = objects(&by_process());
    let summary = objects.last().unwrap();
    assert_eq!((&summary["keys"], &summary["keys_shown"]), (&5.into(), &3.into()));
    let pids = objects.iter().filter(|object| object["type"] == "state_count");
    assert!(pids.clone().all(|object| object["key"]["pid"] != 12));
    assert_eq!(pids.count(), 2 + 2 + 3);
}

#[test]
fn by_state_there_is_an_object_for_each_state_even_without_a_socket() {
    let mut report = by_state();
    report.keys[0].counts = Counts::default();
    report.states = vec![State::CloseWait, State::Close];
    let objects = objects(&report);
    let states: Vec<_> = objects[..2].iter().map(|object| &object["state"]).collect();
    assert_eq!(states, ["CLOSE_WAIT", "CLOSE"]);
    assert!(objects[..2].iter().all(|object| object["count"] == 0));
    assert_eq!((&objects[0]["dead"], &objects[1]["dead"]), (&false.into(), &true.into()));
}

#[test]
fn nothing_raw_reaches_the_terminal() {
    let text = text(&by_process());
    assert!(text.lines().all(|line| !line.contains(is_hazard)), "{text:?}");
    assert!(text.contains("\\u202e"));
}

#[test]
fn no_sockets_are_an_answer_too() {
    let mut none = by_state();
    none.total = Counts::default();
    none.keys[0].counts = Counts::default();
    let shown = lines(&none, &style());
    assert!(shown.contains("0 sockets") && shown.contains("TOTAL"), "{shown}");
    let none = CensusReport { total: Counts::default(), ..report(By::Remote, vec![]) };
    assert!(lines(&none, &style()).contains("TOTAL"));
    assert_eq!(objects(&none).len(), 1);
}

/// For the test that holds objects against `docs/json.md`.
pub fn documented() -> Vec<Map<String, Value>> {
    each_key().iter().flat_map(objects).collect()
}

//! A recording gives what the source gave that it was made from.

use std::collections::VecDeque;
use std::time::Duration;

use super::*;
use crate::commands::plan::{Color, Format, OutputPlan, ReplayPlan};
use crate::lifecycle::budget::Budget;
use crate::lifecycle::by::By;
use crate::lifecycle::cause::Kind;
use crate::lifecycle::event::Transition;
use crate::lifecycle::look::{Look, Sight};
use crate::lifecycle::report::Leak;
use crate::lifecycle::weight::Weight;
use crate::output;
use crate::source::Source;
use crate::source::recording::fixtures::{
    SECOND, SERVER, dead, leaking, look, name_processes, name_stacks, named, queued, read, record,
};
use crate::source::recording::{Header, Writer};

/// What the kernel would have shown.
struct Made {
    looks: VecDeque<(u64, Look)>,
    min_age_ns: u64,
    netns: Vec<u32>,
}

impl Source for Made {
    fn look(&mut self, each: &mut dyn FnMut(&Transition)) -> Result<Option<Sight>> {
        let Some((dwell, mut look)) = self.looks.pop_front() else { return Ok(None) };
        each(&record(5, dwell).try_into()?);
        look.keep_namespaces(&self.netns);
        Ok(Some(Sight { findings: look.find(self.min_age_ns), look }))
    }

    fn name_processes(&mut self, leaks: &mut [Leak]) {
        name_processes(leaks);
    }

    fn name_stacks(&mut self, leaks: &mut [Leak]) {
        name_stacks(leaks);
    }
}

/// Looks, and before each the end of a leak of so many seconds.
fn looks() -> Vec<(u64, Look)> {
    let sockets = |now: u64| {
        let old = now - 60;
        let mut all = vec![leaking(1, now, old), leaking(2, now, 9), leaking(3, now, old - 5)];
        all.extend([read(4, now, old - 1), read(6, now, 20), dead(8, now, old), dead(9, now, 1)]);
        all.extend(queued(20, now, old));
        all
    };
    let mut later = sockets(105);
    later.extend([leaking(11, 105, 31), leaking(13, 105, 32)]);
    vec![(9, look(100, sockets(100))), (40, look(105, later)), (31, look(110, sockets(110)))]
}

fn recording() -> Vec<u8> {
    let mut bytes = Vec::new();
    let header = Header {
        kernel: "6.18".to_owned(),
        interval_ns: 5 * SECOND,
        stacks: true,
        ..Header::new(1, 0)
    };
    let mut writer = Writer::begin(&mut bytes, &header).unwrap();
    for (dwell, look) in looks() {
        writer.event(&record(5, dwell)).unwrap();
        assert!(writer.look(&look, &named(&look)).unwrap());
    }
    writer.finish().unwrap();
    bytes
}

fn plan() -> LeaksPlan {
    LeaksPlan {
        min_age: Duration::from_secs(30),
        interval: Duration::from_secs(5),
        until: Until::Interrupted,
        by: By::Stack,
        exit_code: false,
        filter: Filter::default(),
        netns: Vec::new(),
        output: OutputPlan { format: Format::Json, color: Color::Never, wide: false },
        stacks: true,
        native: false,
        weight: Weight::Sockets,
        replay: Some(ReplayPlan { file: "x".into(), interval: None }),
        budget: Budget::default(),
        verbosity: 0,
    }
}

/// What `leaks` prints while it watches.
fn live(plan: &LeaksPlan) -> Vec<u8> {
    let min_age_ns = nanos(plan.min_age);
    let netns = inodes(&plan.netns).unwrap();
    let filter = Filter { netns: netns.clone(), ..plan.filter.clone() };
    let made = Made { looks: looks().into(), min_age_ns, netns };
    let mut watch = Watch::new(plan, filter, made, Notices::default(), "6.18");
    let (mut output, mut out) = (renderer(plan), Vec::new());
    while let Some(report) = watch.report().unwrap() {
        if plan.output.format.follows() || watch.source.looks.is_empty() {
            output.write(&report, &mut out).unwrap();
        }
    }
    out
}

fn opened(bytes: &[u8]) -> Result<Opened<&[u8]>> {
    // What the looks lack counts as said, so that the tests say nothing.
    let said = ["no-x", "namespace-unreadable"].map(|token| lack(token, ""));
    Ok(Opened {
        reader: Reader::new(bytes)?,
        shown: "x".to_owned(),
        lacks: Vec::new(),
        notices: Notices::of_recording(&said),
    })
}

fn replayed(plan: &LeaksPlan, bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut output = renderer(plan);
    let mut print = |report: &Report| Ok(output.write(report, &mut out)?);
    replay(plan, opened(bytes)?, &mut print)?;
    Ok(out)
}

fn plans() -> Vec<LeaksPlan> {
    let mut plans = Vec::new();
    let formats = [Format::Json, Format::Table, Format::Folded, Format::Svg];
    let bys = [By::Stack, By::Process, By::Remote, By::LocalPort, By::Cgroup, By::None];
    for format in formats {
        for by in bys {
            for seconds in [0, 8, 30, 1000] {
                let output = OutputPlan { format, ..plan().output };
                plans.push(LeaksPlan {
                    min_age: Duration::from_secs(seconds),
                    by,
                    output,
                    ..plan()
                });
            }
        }
    }
    let filtered = |filter| LeaksPlan { filter, ..plan() };
    plans.extend([
        filtered(Filter { pids: vec![SERVER], ..Filter::default() }),
        filtered(Filter { pids: vec![12], ..Filter::default() }),
        filtered(Filter { states: vec![Kind::Dead], ..Filter::default() }),
        filtered(Filter { remote_ports: vec![40_001..=40_003], ..Filter::default() }),
        LeaksPlan { netns: vec![NetnsSpec::Inode(2)], ..plan() },
        LeaksPlan { stacks: false, ..plan() },
    ]);
    plans
}

#[test]
fn a_replay_prints_what_live_printed_byte_for_byte() {
    let recording = recording();
    let mut different = std::collections::HashSet::new();
    for plan in plans() {
        let live = live(&plan);
        let replayed = replayed(&plan, &recording).unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        assert!(live == replayed, "{plan:?}\n{}\n{}", text(&live), text(&replayed));
        different.insert(live);
    }
    let all = live(&LeaksPlan { min_age: Duration::ZERO, ..plan() });
    let all = String::from_utf8(all).unwrap();
    let causes = ["never-accepted", "eof-read-not-closed", "dead-closed", "eof-not-read"];
    assert!(causes.iter().all(|cause| all.contains(cause)), "{all}");
    assert!(different.len() > 30, "the plans ask different questions: {}", different.len());
}

fn times(bytes: &[u8]) -> Vec<u64> {
    let lines = std::str::from_utf8(bytes).unwrap().lines();
    let summaries = lines.filter(|line| line.contains(r#""type":"summary""#));
    let traced = summaries.map(|line| line.split(r#""traced_ns":"#).nth(1).unwrap());
    traced.map(|rest| rest.split(',').next().unwrap().parse::<u64>().unwrap() / SECOND).collect()
}

#[test]
fn once_interval_and_duration_choose_looks() {
    let recording = recording();
    let asked = |until, interval: Option<u64>| {
        let interval = interval.map(Duration::from_secs);
        let replay = Some(ReplayPlan { file: "x".into(), interval });
        times(&replayed(&LeaksPlan { until, replay, ..plan() }, &recording).unwrap())
    };
    assert_eq!(asked(Until::Interrupted, None), [99, 104, 109]);
    assert_eq!(asked(Until::Once, None), [99]);
    assert_eq!(asked(Until::Interrupted, Some(10)), [99, 109]);
    assert_eq!(asked(Until::Interrupted, Some(5)), [99, 104, 109]);
    assert_eq!(asked(Until::Elapsed(Duration::from_secs(104)), None), [99, 104]);
}

#[test]
fn what_a_recording_cannot_answer_is_an_error() {
    let recording = recording();
    let fails = |plan: LeaksPlan| format!("{:#}", replayed(&plan, &recording).unwrap_err());
    let interval = Some(Duration::from_secs(1));
    let often = ReplayPlan { file: "x".into(), interval };
    assert!(fails(LeaksPlan { replay: Some(often), ..plan() }).contains("--interval"));
    for spec in [NetnsSpec::Pid(1), NetnsSpec::Path("/run/netns/a".into())] {
        assert!(fails(LeaksPlan { netns: vec![spec], ..plan() }).contains("inode number"));
    }
    let early = Until::Elapsed(Duration::from_secs(1));
    assert!(fails(LeaksPlan { until: early, ..plan() }).contains("no look in this time"));
}

#[test]
fn how_a_recording_ended_is_told() {
    assert_eq!(cut(State::Ended), None);
    assert!(cut(State::Unended).unwrap().sentence.contains("not ended properly"));
    assert!(cut(State::Cut(17)).unwrap().sentence.contains("last 17 bytes"));
}

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/recordings/v1.rec");

/// Makes the recording that [`an_old_recording_stays_readable`] reads. It is made once for each
/// version of the format and then left alone:
/// `cargo test -p tcptrace --lib -- --ignored make_the_sample`.
#[test]
#[ignore = "makes a file"]
fn make_the_sample() {
    std::fs::write(SAMPLE, recording()).unwrap();
}

fn rendered(plan: &LeaksPlan, bytes: &[u8]) -> String {
    let style = output::Style {
        width: output::Style::DEFAULT_WIDTH,
        rows: plan.by == By::None,
        frames: output::Style::DEFAULT_FRAMES,
        native: false,
        stacks: plan.stacks,
        color: false,
        zone: jiff::tz::TimeZone::UTC,
    };
    let mut printer: Box<dyn output::Output> = match plan.output.format {
        Format::Table => Box::new(output::Table::new(style)),
        _ => renderer(plan),
    };
    let mut out = Vec::new();
    let mut print = |report: &Report| Ok(printer.write(report, &mut out)?);
    replay(plan, opened(bytes).unwrap(), &mut print).unwrap();
    String::from_utf8(out).unwrap()
}

/// A recording that an earlier build has made gives the same answers for ever, in each format.
#[test]
fn an_old_recording_stays_readable() {
    let bytes = std::fs::read(SAMPLE).unwrap();
    let soundness = crate::source::recording::check(&bytes[..]).unwrap();
    assert_eq!((soundness.state, soundness.looks), (State::Ended, 3));
    let formats = [Format::Table, Format::Json, Format::Folded, Format::Svg];
    for (format, end) in formats.into_iter().zip(["txt", "jsonl", "folded", "svg"]) {
        let output = OutputPlan { format, ..plan().output };
        let plan = LeaksPlan { output, min_age: Duration::from_secs(8), ..plan() };
        let path = SAMPLE.replace("v1.rec", &format!("v1.{end}"));
        let actual = rendered(&plan, &bytes);
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &actual).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(actual == expected, "{path} differs; UPDATE_GOLDEN=1 rewrites it\n{actual}");
    }
}

//! What the kernel side sends: records of its ring, rows of its iterators.

use std::borrow::Cow;

use bytes::Bytes;
use jiff::tz::TimeZone;
use tcptrace::lifecycle::by::By;
use tcptrace::lifecycle::census::{self, CensusReport, Decoder, Holders, Row, Tally};
use tcptrace::lifecycle::details::Details;
use tcptrace::lifecycle::event::{Event, Transition, decode};
use tcptrace::lifecycle::group::group;
use tcptrace::lifecycle::growth::Sizes;
use tcptrace::lifecycle::look::Look;
use tcptrace::lifecycle::names::fill_in;
use tcptrace::lifecycle::outlook::Outlook;
use tcptrace::lifecycle::report::Report;
use tcptrace::lifecycle::rows::Rows;
use tcptrace::lifecycle::stream::{Frame, TimeColumn};
use tcptrace::lifecycle::text::from_bytes;
use tcptrace::output::stream::{self, Lines};
use tcptrace::output::{self, Folded, Folding, Json, Output, Svg, Table};

use super::harmless;

/// A record of the ring becomes lines of `stream`.
pub fn record(bytes: &[u8]) {
    if let Ok(Event::Transition(transition)) = decode(&mut &*bytes) {
        show(&[transition]);
    }
}

/// Shows transitions in both formats.
pub fn show(transitions: &[Transition]) {
    let frame = Frame { started_ns: 0, wall_offset_ns: 1 << 60 };
    let style =
        |width| stream::Style { width, time: TimeColumn::Wall, color: false, zone: TimeZone::UTC };
    let shown = |lines: &mut dyn Lines| {
        let mut out = Vec::new();
        lines.head(&mut out);
        transitions.iter().for_each(|transition| lines.line(&frame.line(transition), &mut out));
        out
    };
    harmless::text(&shown(&mut stream::Table::new(style(100))));
    harmless::text(&shown(&mut stream::Table::new(style(usize::MAX))));
    harmless::json_lines(&shown(&mut stream::Json::new()));
}

/// Rows become a report in every format. The first byte says how many of those behind it are the
/// name of everything.
pub fn rows(bytes: &[u8]) {
    let (name, bytes) = match bytes.split_first() {
        Some((length, rest)) => rest.split_at(usize::from(*length).min(rest.len())),
        None => return,
    };
    let mut rows = Rows::default();
    // What came before an error counts.
    let _ = rows.decode(Bytes::copy_from_slice(bytes));
    report(Look { rows, now_ns: u64::MAX / 2, wall_ns: 1 << 60, ..Look::default() }, name);
}

/// Prints the leaks of a look, all of whose processes have this name, in every format.
pub fn report(look: Look, name: &[u8]) {
    let name = from_bytes(name);
    let findings = look.find(0);
    let mut leaks = findings.leaks;
    fill_in(&mut leaks, &mut |_, _| details(&name));
    for by in [By::Stack, By::Process, By::Remote, By::None] {
        let sizes = Sizes::default();
        let outlook = Outlook::new(&sizes, leaks.iter(), look.now_ns, 0);
        let groups = group(leaks.clone(), by, &outlook);
        let report = Report {
            checked_at_ns: look.wall_ns,
            traced_ns: look.now_ns,
            min_age_ns: 0,
            groups,
            half_closed: Vec::new(),
            sockets_checked: findings.checked,
            namespaces: 1,
            events: 0,
            closed_late: 0,
            lost: vec![(Cow::Owned(name.clone()), 1)],
            degradations: Vec::new(),
            kernel: name.clone(),
        };
        print(&report, by == By::None);
    }
}

fn details(name: &str) -> Details {
    let name = || Some(name.to_owned());
    Details {
        exe: name(),
        label: name(),
        cgroup: name(),
        container: name(),
        uid: Some(0),
        fd_used: Some(7),
        fd_limit: Some(u64::MAX),
        stopped: false,
        gone: false,
    }
}

fn print(report: &Report, rows: bool) {
    let folding = Folding::default();
    let written = |format: &mut dyn Output| {
        let mut out = Vec::new();
        format.write(report, &mut out).expect("memory takes everything");
        out
    };
    for width in [output::Style::DEFAULT_WIDTH, usize::MAX] {
        let style = output::Style { width, rows, ..output::Style::default() };
        harmless::text(&written(&mut Table::new(style)));
    }
    harmless::json_lines(&written(&mut Json));
    harmless::text(&written(&mut Folded(folding)));
    harmless::text(&written(&mut Svg(folding)));
}

/// Rows of a census, in two pieces, become counts.
pub fn census(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    for by in [census::By::State, census::By::Remote, census::By::Process] {
        let mut decoder = Decoder::default();
        let (mut tally, mut holders) = (Tally::new(by), Holders::default());
        let (first, second) = bytes.split_at(usize::from(*cut).min(bytes.len()));
        for piece in [first, second] {
            let mut count = |row| match row {
                Row::Socket(socket) => tally.add(&socket, &holders),
                Row::Held(holder, socket) => holders.note(&holder.task, &socket, &mut |_| true),
                Row::Namespace(_) => {}
            };
            if decoder.feed(piece, &mut count).is_err() {
                break;
            }
        }
        print_counts(&tally, &holders, by);
    }
}

fn print_counts(tally: &Tally, holders: &Holders, by: census::By) {
    let report = CensusReport {
        checked_at_ns: 1 << 60,
        took_ns: 1,
        by,
        states: census::states().collect(),
        keys: tally.keys(holders),
        top: Some(10),
        total: tally.total(),
        shared: tally.shared(),
        mptcp: 0,
        namespaces: 1,
        namespaces_unread: 0,
        degradations: Vec::new(),
        kernel: String::new(),
    };
    let style = output::census::Style { width: 100, color: false, zone: TimeZone::UTC };
    harmless::text(output::census::table(&report, &style).join("\n").as_bytes());
    let mut out = Vec::new();
    output::census::json(&report, &mut out).expect("memory takes everything");
    harmless::json_lines(&out);
}

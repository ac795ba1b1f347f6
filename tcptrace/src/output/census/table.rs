//! For people: a headline, a row for each state or key, a total.

use super::bar::{bar, percent};
use super::columns::{Column, GAP, digits, fitting, shared};
use super::{Style, name};
use crate::lifecycle::census::{By, CensusReport, Counts, KeyCounts, KeyName};
use crate::lifecycle::socket::State;
use crate::output::paint;
use crate::output::{cell, units};

/// Columns of a bar.
const BAR: usize = 40;
/// Columns that a key may take.
const KEY_MAX: usize = 45;
/// Columns of a process id.
const PID: usize = 7;
/// For what there is not.
const NONE: &str = "-";
const TOTAL: &str = "TOTAL";

/// The lines of a table.
#[must_use]
pub fn table(report: &CensusReport, style: &Style) -> Vec<String> {
    let mut lines = headline(report, style);
    let mut notes = notes(report);
    match report.by {
        By::State => lines.extend(by_state(report, style)),
        _ => {
            let grid = Grid::new(report, style);
            lines.extend(by_key(report, &grid));
            notes.extend(shared(&grid.columns).map(of_shared));
        }
    }
    if !notes.is_empty() {
        lines.push(String::new());
    }
    lines.extend(notes.iter().map(|note| paint::faint(&cell::cut(note, style.width), style.color)));
    lines
}

fn headline(report: &CensusReport, style: &Style) -> Vec<String> {
    let mut parts = vec![
        "tcptrace states".to_owned(),
        units::count(report.total.total(), "socket"),
        units::count(report.namespaces, "network namespace"),
    ];
    if report.namespaces_unread > 0 {
        parts.push(format!("{} unreadable", report.namespaces_unread));
    }
    if report.mptcp > 0 {
        parts.push(format!("{} of MPTCP not counted", report.mptcp));
    }
    if !report.degradations.is_empty() {
        parts.push(units::count(report.degradations.len() as u64, "degradation"));
    }
    let clock = units::clock(report.checked_at_ns, &style.zone);
    parts.push(format!("counted {clock} in {}", units::duration(report.took_ns)));
    let lines = cell::flow(&parts, " · ", style.width);
    lines.into_iter().map(|line| paint::heading(&line, style.color)).collect()
}

/// A row for each state that a socket is in, most first.
fn by_state(report: &CensusReport, style: &Style) -> Vec<String> {
    let total = report.total.total();
    let mut states: Vec<State> = report.total.states().collect();
    states.sort_by_key(|state| std::cmp::Reverse(report.total.get(*state)));
    let left = states.iter().map(|state| name(*state).len()).max().unwrap_or(0).max(TOTAL.len());
    let right = digits(total).max("SOCKETS".len());
    let header = format!("{:<left$}  {:>right$}  {:>6}", "STATE", "SOCKETS", "%");
    let mut lines = vec![paint::heading(&header, style.color)];
    for state in states {
        let count = u64::from(report.total.get(state));
        let (share, bar) = (percent(count, total), bar(count, total, BAR));
        lines.push(format!("{:<left$}  {count:>right$}  {share:>6}  {bar}", name(state)));
    }
    lines.push(paint::heading(&format!("{TOTAL:<left$}  {total:>right$}"), style.color));
    lines
}

/// A row for each key, most first, with a column for each state that a socket is in.
fn by_key(report: &CensusReport, grid: &Grid) -> Vec<String> {
    let mut lines = vec![paint::heading(&grid.header(&heading(report.by)), grid.color)];
    lines.extend(rows(report).iter().map(|(name, counts)| grid.row(name, counts)));
    lines.push(paint::heading(&grid.plain(TOTAL, &report.total), grid.color));
    lines
}

/// Name and counts of each row: the keys to show, and together those that are left out.
fn rows(report: &CensusReport) -> Vec<(String, Counts)> {
    let (shown, rest) = report.shown();
    let shown = shown.iter().map(|row| (key(&row.key), row.counts));
    let rest = (!rest.is_empty()).then(|| (format!("and {} more", rest.len()), sum(rest)));
    shown.chain(rest).collect()
}

/// Widths of the columns, and what they show.
struct Grid {
    left: usize,
    right: usize,
    columns: Vec<Column>,
    color: bool,
}

impl Grid {
    fn new(report: &CensusReport, style: &Style) -> Self {
        let rows = rows(report);
        let names = rows.iter().map(|(name, _)| cell::width(name));
        let longest = names.chain([heading(report.by).len(), TOTAL.len()]).max().unwrap_or(0);
        let left = if style.width == usize::MAX { longest } else { longest.min(KEY_MAX) };
        // What processes share can make a row larger than the total.
        let totals = rows.iter().map(|(_, counts)| counts.total());
        let right = totals.chain([report.total.total()]).map(digits).max().unwrap_or(0);
        let right = right.max(TOTAL.len());
        let room = style.width.saturating_sub(left + GAP + right);
        Self { left, right, columns: fitting(&report.total, room), color: style.color }
    }

    fn header(&self, key: &str) -> String {
        let headings = self.columns.iter().map(|column| (column.heading.to_owned(), column.width));
        self.line(key, TOTAL.to_owned(), headings)
    }

    fn plain(&self, key: &str, counts: &Counts) -> String {
        let cells =
            self.columns.iter().map(|column| (column.count(counts).to_string(), column.width));
        self.line(key, counts.total().to_string(), cells)
    }

    /// As [`Self::plain`], what is 0 fainter than the rest.
    fn row(&self, key: &str, counts: &Counts) -> String {
        let mut line = self.line(key, counts.total().to_string(), std::iter::empty());
        for column in &self.columns {
            let count = column.count(counts);
            let text = cell::right(&count.to_string(), column.width + GAP);
            line.push_str(&if count == 0 { paint::faint(&text, self.color) } else { text });
        }
        line
    }

    fn line(
        &self,
        key: &str,
        total: String,
        cells: impl Iterator<Item = (String, usize)>,
    ) -> String {
        let mut line = cell::left(&cell::cut(key, self.left), self.left);
        for (text, width) in [(total, self.right)].into_iter().chain(cells) {
            line.push_str(&cell::right(&text, width + GAP));
        }
        line
    }
}

fn heading(by: By) -> String {
    match by {
        By::State => String::new(),
        By::Remote => "RADDR".to_owned(),
        By::LocalPort => "LPORT".to_owned(),
        By::Process => format!("{:>PID$} COMM", "PID"),
        By::Netns => "NETNS".to_owned(),
    }
}

fn key(key: &KeyName) -> String {
    let known = |value: Option<String>| value.unwrap_or_else(|| NONE.to_owned());
    match key {
        KeyName::All => String::new(),
        KeyName::Remote(addr) => known(addr.map(|addr| addr.to_string())),
        KeyName::LocalPort(port) => known(port.map(|port| port.to_string())),
        KeyName::Process(None) => format!("{NONE:>PID$} {NONE}"),
        KeyName::Process(Some(process)) => {
            format!("{:>PID$} {}", process.pid, cell::safe(&process.comm))
        }
        KeyName::Netns(netns) => netns.to_string(),
    }
}

fn sum(keys: &[KeyCounts]) -> Counts {
    let mut sum = Counts::default();
    keys.iter().for_each(|row| sum.merge(&row.counts));
    sum
}

/// What needs a word.
fn notes(report: &CensusReport) -> Vec<String> {
    let mut notes = Vec::new();
    if report.total.get(State::Close) > 0 {
        notes.push(
            "DEAD: the connection is over, a descriptor is still open; `tcptrace leaks` says whose"
                .to_owned(),
        );
    }
    let (shown, _) = report.shown();
    if let Some(meaning) = shown.iter().find_map(|row| of_none(&row.key)) {
        notes.push(format!("{NONE}: {meaning}"));
    }
    if report.shared > 0 {
        notes.push(format!(
            "{} held by several processes: counted for each, and in the total once",
            units::count(report.shared, "socket")
        ));
    }
    notes
}

/// What the column stands for that several states share.
fn of_shared(column: &Column) -> String {
    let names: Vec<&str> = column.states.iter().map(|state| name(*state)).collect();
    format!("{}: {}; -w has a column for each", column.heading, names.join(", "))
}

/// What a key stands for that is none.
fn of_none(key: &KeyName) -> Option<&'static str> {
    match key {
        KeyName::Remote(None) => Some("listeners, which have no peer"),
        KeyName::LocalPort(None) => Some("the kernel has forgotten the port"),
        KeyName::Process(None) => {
            Some("no process holds them: closed and not over yet, not accepted yet, or in flight")
        }
        _ => None,
    }
}

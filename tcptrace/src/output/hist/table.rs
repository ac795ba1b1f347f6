//! The table for people: a headline, then a row for each state, by key where there are keys.

use std::io::{self, Write};

use super::axis::Axis;
use super::lines::{LABEL, Layout, header, left_of_pictures};
use super::{HistOutput, HistStyle, key};
use crate::lifecycle::dwell::key::{By, Key};
use crate::lifecycle::dwell::report::{HistReport, Row, Scope};
use crate::lifecycle::dwell::tally::Tally;
use crate::output::paint;
use crate::output::{cell, units};

/// What rows of a key are indented by.
const INDENT: &str = "  ";

/// The table.
#[derive(Clone, Debug)]
pub struct HistTable {
    style: HistStyle,
    printed: bool,
}

impl HistTable {
    /// A table that looks like `style`.
    #[must_use]
    pub fn new(style: HistStyle) -> Self {
        Self { style, printed: false }
    }
}

impl HistOutput for HistTable {
    fn write(&mut self, report: &HistReport, out: &mut dyn Write) -> io::Result<()> {
        let mut text = String::new();
        if std::mem::replace(&mut self.printed, true) {
            text.push('\n');
        }
        for line in lines(report, &self.style) {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

fn lines(report: &HistReport, style: &HistStyle) -> Vec<String> {
    let mut lines = headline(report, style);
    if report.rows.is_empty() {
        return lines;
    }
    let keys = by_key(&report.rows);
    let (shown, hidden) = keys.split_at(keys.len().min(style.top));
    let indent = if report.by == By::State { "" } else { INDENT };
    let label = LABEL + indent.len();
    let cells = style.width.saturating_sub(left_of_pictures(label));
    let axis = Axis::spanning(shown.iter().flat_map(|rows| rows.iter()).flat_map(tallies), cells);
    let layout = Layout { label, indent, axis: &axis, width: style.width, color: style.color };
    lines.push(paint::heading(&header(label, &axis), style.color));
    for rows in shown {
        if let Some(title) = rows.first().and_then(|row| key::title(&row.key)) {
            lines.push(paint::heading(&cell::cut(&title, style.width), style.color));
        }
        lines.extend(rows.iter().flat_map(|row| layout.lines(row)));
    }
    lines.extend(remarks(report, hidden, style));
    lines
}

/// The rows of each key.
fn by_key(rows: &[Row]) -> Vec<&[Row]> {
    rows.chunk_by(|one, other| one.key == other.key).collect()
}

fn tallies(row: &Row) -> impl Iterator<Item = &Tally> {
    row.dwells.iter().chain(&row.still)
}

fn headline(report: &HistReport, style: &HistStyle) -> Vec<String> {
    let dwells = units::count(report.known(), "dwell");
    let mut parts = vec!["tcptrace hist".to_owned()];
    parts.push(match report.scope {
        Scope::Interval => format!("{dwells} in the last {}", units::duration(report.span_ns)),
        Scope::Total => dwells,
    });
    match report.unknown() {
        0 => {}
        unknown => parts.push(format!("{unknown} of unknown length")),
    }
    parts.extend(report.still().map(|still| format!("{still} sockets still in a state")));
    parts.push(format!("times within {}", percent(report.error)));
    parts.push(format!("traced {}", units::duration(report.traced_ns)));
    parts.push(format!("{} lost", report.lost_total()));
    match report.degradations.len() {
        0 => {}
        1 => parts.push("1 degradation".to_owned()),
        many => parts.push(format!("{many} degradations")),
    }
    parts.push(units::clock(report.made_at_ns, &style.zone));
    let lines = cell::flow(&parts, " · ", style.width);
    lines.into_iter().map(|line| paint::heading(&line, style.color)).collect()
}

/// Rounded up: `2 %`, `0.05 %`.
fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent < 1.0 => format!("{:.2} %", (percent * 100.0).ceil() / 100.0),
        percent => format!("{:.0} %", percent.ceil()),
    }
}

/// What the table does not show.
fn remarks(report: &HistReport, hidden: &[&[Row]], style: &HistStyle) -> Vec<String> {
    let mut remarks = Vec::new();
    if !hidden.is_empty() {
        let rows = hidden.iter().flat_map(|rows| rows.iter()).filter_map(|row| row.dwells.as_ref());
        let dwells = units::count(rows.map(Tally::count).sum(), "dwell");
        let keys = hidden.len();
        let all = keys + style.top;
        remarks.push(format!("… {keys} more with {dwells}: --top {all} shows them"));
    }
    let others = report.rows.iter().filter(|row| row.key == Key::Other);
    let others: u64 = others.flat_map(|row| &row.dwells).map(|all| all.count() + all.unknown).sum();
    if others > 0 {
        let dwells = units::count(others, "dwell");
        remarks.push(format!("{dwells} in (other): no room for the key; --key-buckets makes more"));
    }
    let faint = |text: String| paint::faint(&cell::cut(&text, style.width), style.color);
    remarks.into_iter().map(faint).collect()
}

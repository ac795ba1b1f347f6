//! The lines of one row: its numbers and picture, what is not known, who is still there.

use super::axis::Axis;
use super::picture;
use crate::lifecycle::dwell::report::Row;
use crate::lifecycle::dwell::stats::Stats;
use crate::lifecycle::dwell::tally::Tally;
use crate::lifecycle::socket::State;
use crate::output::paint;
use crate::output::{cell, units};

/// Columns of a state's name, and of what stands indented below it.
pub const LABEL: usize = 16;
const INDENT: &str = "  ";
/// Columns of a number and the blank before it.
const COUNT: usize = 8;
const NUMBER: usize = 7;
const NAMES: [&str; 7] = ["MIN", "MEAN", "P50", "P90", "P99", "P99.9", "MAX"];
/// Between numbers and picture.
const GAP: &str = "  ";

/// Columns that everything left of the pictures takes.
pub fn left_of_pictures(label: usize) -> usize {
    label + COUNT + NUMBER * NAMES.len() + GAP.len()
}

/// The names of the columns and the marks of the axis.
pub fn header(label: usize, axis: &Axis) -> String {
    let names = NAMES.map(|name| cell::right(name, NUMBER)).concat();
    let (state, count) = (cell::left("STATE", label), cell::right("COUNT", COUNT));
    format!("{state}{count}{names}{GAP}{}", axis.labels())
}

/// How rows are laid out.
pub struct Layout<'a> {
    /// Columns of the labels.
    pub label: usize,
    /// What stands before each label.
    pub indent: &'static str,
    /// The axis of the pictures.
    pub axis: &'a Axis,
    /// Columns of a line.
    pub width: usize,
    /// Whether to colour.
    pub color: bool,
}

impl Layout<'_> {
    /// The lines of a row.
    pub fn lines(&self, row: &Row) -> Vec<String> {
        let mut lines = Vec::new();
        let nothing = Tally::new(tcptrace_common::histogram::KERNEL);
        let dwells = row.dwells.as_ref().unwrap_or(&nothing);
        lines.push(self.numbers(row.state.name(), dwells));
        if dwells.unknown > 0 {
            let why = "began before the trace, or a transition was missed";
            lines.push(self.remark("unknown length", dwells.unknown, why));
        }
        lines.extend(self.bounds(dwells, "dwell"));
        if let Some(still) = &row.still {
            let line = self.numbers(&format!("{INDENT}still in state"), still);
            let is_stuck = |line: String| match passes_quickly(row.state) {
                true => paint::warning(&line, self.color),
                false => line,
            };
            lines.push(is_stuck(line));
            if still.unknown > 0 {
                lines.push(self.remark("of unknown age", still.unknown, "also still in state"));
            }
            lines.extend(self.bounds(still, "age"));
        }
        lines
    }

    /// A label, a count, numbers and a picture.
    fn numbers(&self, label: &str, tally: &Tally) -> String {
        let numbers = match Stats::of(tally) {
            None => "-".to_owned().into_columns(),
            Some(stats) => columns(&stats),
        };
        let label = cell::left(&format!("{}{label}", self.indent), self.label);
        let count = cell::right(&units::amount(tally.count()), COUNT);
        format!("{label}{count}{numbers}{GAP}{}", picture::bars(tally, self.axis))
    }

    /// A label, a count and what it means.
    fn remark(&self, label: &str, count: u64, text: &str) -> String {
        let label = cell::left(&format!("{}{INDENT}{label}", self.indent), self.label);
        let count = cell::right(&units::amount(count), COUNT);
        let line = cell::cut(&format!("{label}{count}  {text}"), self.width);
        paint::faint(&line, self.color)
    }

    /// How many of the numbers are bounds.
    fn bounds(&self, tally: &Tally, what: &str) -> Option<String> {
        let bounds = tally.at_least + tally.at_most;
        let text = match (tally.at_least, tally.at_most) {
            (0, 0) => return None,
            (_, 0) => format!("of these: lower bounds, the {what} is at least so long"),
            (0, _) => format!("of these: upper bounds, the {what} is at most so long"),
            (least, most) => format!("of these: {least} lower and {most} upper bounds"),
        };
        Some(self.remark("only bounds", bounds, &text))
    }
}

trait IntoColumns {
    fn into_columns(self) -> String;
}

impl IntoColumns for String {
    /// The same in each column of numbers.
    fn into_columns(self) -> String {
        cell::right(&self, NUMBER).repeat(NAMES.len())
    }
}

fn columns(stats: &Stats) -> String {
    let Stats { count: _, min_ns, mean_ns, p50_ns, p90_ns, p99_ns, p999_ns, max_ns } = *stats;
    [min_ns, mean_ns, p50_ns, p90_ns, p99_ns, p999_ns, max_ns]
        .map(|ns| cell::right(&units::fine_duration(ns), NUMBER))
        .concat()
}

/// Whether a healthy connection goes through the state in a few round trips, so that one that stays
/// is worth a look.
fn passes_quickly(state: State) -> bool {
    !matches!(state, State::Established | State::Listen | State::TimeWait)
}

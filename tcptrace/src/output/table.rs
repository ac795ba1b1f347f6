//! The table for people: a headline, then groups with indented details, or one row for each
//! socket.

mod acting;
mod block;
mod calls;
mod columns;
mod detail;
mod ends;
mod excerpt;
mod frames;
mod holding;
mod list;
mod listening;
mod name;
mod rows;
mod style;
mod tail;

use crate::output::paint;
use std::collections::BTreeMap;
use std::io::{self, Write};

use super::{Output, cell, units};
use crate::lifecycle::report::{Group, Report};
use crate::lifecycle::untraced::Untraced;

use columns::{Columns, Need};

pub use style::Style;

/// The table.
#[derive(Clone, Debug)]
pub struct Table {
    style: Style,
    printed: bool,
    need: Need,
}

impl Table {
    /// A table that looks like `style`.
    #[must_use]
    pub fn new(style: Style) -> Self {
        Self { style, printed: false, need: Need::default() }
    }
}

impl Output for Table {
    fn write(&mut self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let mut text = String::new();
        if self.printed {
            text.push('\n');
        }
        self.printed = true;
        self.need.grow(report.groups.iter().chain(&report.half_closed));
        let columns = Columns::fitting(self.need, self.style.width);
        for line in lines(report, &columns, &self.style) {
            text.push_str(line.trim_end());
            text.push('\n');
        }
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

fn lines(report: &Report, columns: &Columns, style: &Style) -> Vec<String> {
    let mut lines = headline(report, style);
    lines.extend(body(&report.groups, report, columns, style));
    if !report.half_closed.is_empty() {
        lines.push(String::new());
        lines.push(half_closed_heading(report, style));
        lines.extend(body(&report.half_closed, report, columns, style));
    }
    lines.extend(untraced(report, style));
    lines
}

fn body(groups: &[Group], report: &Report, columns: &Columns, style: &Style) -> Vec<String> {
    if groups.is_empty() {
        Vec::new()
    } else if style.rows {
        rows::lines(groups, style)
    } else {
        block::lines(groups, report, columns, style)
    }
}

/// Why there are no stacks below some of the groups.
fn untraced(report: &Report, style: &Style) -> Vec<String> {
    if style.rows || !style.stacks {
        return Vec::new();
    }
    let mut counts: BTreeMap<Untraced, u64> = BTreeMap::new();
    let groups = report.groups.iter().chain(&report.half_closed);
    for why in groups.flat_map(calls::untraced) {
        *counts.entry(why).or_default() += 1;
    }
    let lines = counts.into_iter().map(|(why, sockets)| {
        let text = format!("no stack for {}: {}", units::count(sockets, "socket"), why.text());
        paint::faint(&cell::cut(&text, style.width), style.color)
    });
    let lines: Vec<String> = lines.collect();
    let gap = (!lines.is_empty()).then(String::new);
    gap.into_iter().chain(lines).collect()
}

fn headline(report: &Report, style: &Style) -> Vec<String> {
    let leaks = number(report.leaks());
    let groups = match style.rows {
        true => String::new(),
        false => format!(" in {}", units::count(number(report.groups.len()), "group")),
    };
    let older = format!("older than {}", units::duration(report.min_age_ns));
    let mut parts = match leaks {
        0 => vec![
            format!("no leaks: 0 sockets {older}"),
            format!("{} checked", report.sockets_checked),
        ],
        _ => vec![
            "tcptrace leaks".to_owned(),
            format!("{}{groups} {older}", units::count(leaks, "socket")),
        ],
    };
    parts.push(format!("traced {}", units::duration(report.traced_ns)));
    parts.push(format!("{} lost", report.lost_total()));
    if !report.degradations.is_empty() {
        parts.push(units::count(number(report.degradations.len()), "degradation"));
    }
    let clock = units::clock(report.checked_at_ns, &style.zone);
    parts.push(format!("checked {clock}"));
    let lines = cell::flow(&parts, " · ", style.width);
    lines.into_iter().map(|line| paint::heading(&line, style.color)).collect()
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn half_closed_heading(report: &Report, style: &Style) -> String {
    let sockets = number(report.half_closed.iter().map(|group| group.leaks.len()).sum());
    let text = format!(
        "half-closed on purpose, still sending; not counted as leaks: {}",
        units::count(sockets, "socket")
    );
    paint::heading(&cell::cut(&text, style.width), style.color)
}

#[cfg(test)]
mod tests;

//! Groups: one line with who, why and how much, details below it.

use std::collections::HashSet;

use super::columns::{Columns, GAP, title};
use super::style::Style;
use super::{detail, tail};
use crate::lifecycle::cause::Cause;
use crate::lifecycle::report::{Group, Report};
use crate::output::cell;
use crate::output::paint;

/// All groups. The sentence about a cause stands below the first group that has it.
pub fn lines(groups: &[Group], report: &Report, columns: &Columns, style: &Style) -> Vec<String> {
    let many_namespaces = detail::has_many_namespaces(report);
    let mut explained: HashSet<Cause> = HashSet::new();
    let mut lines = Vec::new();
    for group in groups {
        let (behind, below) = split_tail(group, columns.tail);
        lines.push(head(group, &behind, columns, style.color));
        if explained.insert(group.cause) {
            lines.extend(detail::sentence(group.cause, style));
        }
        lines.extend(detail::lines(group, &below, many_namespaces, style));
    }
    lines
}

fn head(group: &Group, behind: &[String], columns: &Columns, color: bool) -> String {
    let count = cell::right(&group.leaks.len().to_string(), columns.count);
    let name = cell::left(&title(group, columns.name), columns.name);
    let cause = cell::left(group.cause.token(), columns.cause);
    let (count, cause) = (paint::count(&count, color), paint::cause(group.cause, &cause, color));
    format!("{count}{GAP}{name}{GAP}{cause}{GAP}{}", behind.join(GAP))
}

/// The parts that fit into `room` columns, and those that become details.
fn split_tail(group: &Group, room: usize) -> (Vec<String>, Vec<String>) {
    let mut behind = tail::parts(group);
    let mut fitting = behind.len();
    while fitting > 0 && cell::width(&behind[..fitting].join(GAP)) > room {
        fitting -= 1;
    }
    let below = behind.split_off(fitting);
    (behind, below)
}

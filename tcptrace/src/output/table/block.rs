//! Groups: one line with who, why and how much, details below it.

use std::collections::HashSet;

use super::style::Style;
use super::{detail, name, paint};
use crate::lifecycle::age::Age;
use crate::lifecycle::cause::Cause;
use crate::lifecycle::report::{FdUse, Group, Report};
use crate::output::{cell, units};

/// Least columns of the count, and what separates it from the name.
const COUNT: usize = 4;
const COUNT_GAP: &str = "  ";
/// Between the other parts of the line.
const GAP: &str = "   ";
/// A name is not cut shorter than this, comm and id; what stands behind it goes to the details
/// first.
const NAME_MIN: usize = name::PARTY_MAX;

/// All groups. The sentence about a cause stands below the first group that has it.
pub fn lines(groups: &[Group], report: &Report, style: &Style) -> Vec<String> {
    let columns = Columns::fitting(groups, style.width);
    let many_namespaces = detail::has_many_namespaces(report);
    let mut explained: HashSet<Cause> = HashSet::new();
    let mut lines = Vec::new();
    for group in groups {
        lines.push(columns.line(group, style.color));
        if explained.insert(group.cause) {
            lines.extend(detail::sentence(group.cause, style));
        }
        lines.extend(detail::lines(group, &columns.moved(group), many_namespaces, style));
    }
    lines
}

/// Widths, the same for all groups of a report.
struct Columns {
    count: usize,
    name: usize,
    cause: usize,
    /// How many of the tail's parts stand in the line; the others are details.
    tail: usize,
}

impl Columns {
    fn fitting(groups: &[Group], width: usize) -> Self {
        let widest = |text: &dyn Fn(&Group) -> String| {
            groups.iter().map(|group| cell::width(&text(group))).max().unwrap_or(0)
        };
        let count = widest(&|group| group.leaks.len().to_string()).max(COUNT);
        let cause = groups.iter().map(|group| group.cause.token().len()).max().unwrap_or(0);
        let name = widest(&title);
        let mut tail = groups.iter().map(|group| tail_of(group).len()).max().unwrap_or(0);
        loop {
            let behind = widest(&|group| shown_tail(group, tail).join(GAP));
            let fixed = count + COUNT_GAP.len() + GAP.len() + cause + GAP.len() + behind;
            let left = width.saturating_sub(fixed);
            if left >= name.min(NAME_MIN) || tail == 0 {
                return Self { count, name: name.min(left), cause, tail };
            }
            tail -= 1;
        }
    }

    fn line(&self, group: &Group, color: bool) -> String {
        let count = cell::right(&group.leaks.len().to_string(), self.count);
        let name = cell::left(&cell::cut(&title(group), self.name), self.name);
        let cause = cell::left(group.cause.token(), self.cause);
        let tail = shown_tail(group, self.tail).join(GAP);
        let (count, cause) =
            (paint::count(&count, color), paint::cause(group.cause, &cause, color));
        format!("{count}{COUNT_GAP}{name}{GAP}{cause}{GAP}{tail}")
    }

    /// The parts that did not fit into the line.
    fn moved(&self, group: &Group) -> Vec<String> {
        tail_of(group).into_iter().skip(self.tail).map(|(_, below)| below).collect()
    }
}

fn shown_tail(group: &Group, parts: usize) -> Vec<String> {
    tail_of(group).into_iter().take(parts).map(|(inline, _)| inline).collect()
}

/// What stands behind the cause, most important first: as it reads in the line, and below it.
fn tail_of(group: &Group) -> Vec<(String, String)> {
    let same = |text: String| (text.clone(), text);
    let mut parts = vec![same(format!("oldest {}", units::age(oldest(group))))];
    parts.extend(group.growth.map(units::growth).map(same));
    if let Some(fds) = &group.fds {
        parts.push(same(format!("{}{}", units::fds(fds), whose(group, fds))));
        let exhaustion = units::exhaustion(fds);
        parts.extend(exhaustion.map(|text| (format!("({text})"), format!("descriptors {text}"))));
    }
    parts
}

/// Whose descriptors they are, where the line does not begin with that process.
fn whose(group: &Group, fds: &FdUse) -> String {
    let only = group.by.is_none() || group.blamed.len() == 1;
    let first = group.blamed.first().map(|holder| holder.party.pid);
    if only && first == Some(fds.pid) { String::new() } else { format!(" in [{}]", fds.pid) }
}

/// The greatest age that is certain; an exact one goes before a bound of the same value.
fn oldest(group: &Group) -> Age {
    let ages = group.leaks.iter().map(|leak| leak.age);
    ages.max_by_key(|age| (age.at_least(), age.is_exact())).unwrap_or(Age::Unknown)
}

/// Who is to blame, or what the group is grouped by.
fn title(group: &Group) -> String {
    if let Some((what, which)) = &group.by {
        return cell::safe(&format!("{what} {which}"));
    }
    match group.blamed.as_slice() {
        [] => "(no process)".to_owned(),
        [only] => name::process(only),
        [first, others @ ..] => name::marked(first, &format!("+{}", others.len())),
    }
}

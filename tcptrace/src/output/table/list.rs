//! Lists in a line: counted, put together, and cut where the line ends.

use std::collections::BTreeMap;

use crate::output::cell;

/// Lines that a list may take, and what those after the first begin with.
const LINES_MAX: usize = 3;
const CONTINUED: &str = "  ";

/// `prefix` and as many of the items as fit into `room` columns; how many more there are.
pub fn within(room: usize, prefix: &str, items: &[String], separator: &str) -> String {
    let shown = |count: usize| {
        let more = match items.len() - count {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        format!("{prefix}{}{more}", items[..count].join(separator))
    };
    shown(most_fitting(room, items.len(), shown).max(items.len().min(1)))
}

/// The same in as many lines as it needs, but for [`LINES_MAX`].
pub fn lines(room: usize, prefix: &str, items: &[String], separator: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let (mut prefix, mut rest) = (prefix, items);
    while lines.len() + 1 < LINES_MAX && rest.len() > 1 {
        let shown = |count: usize| format!("{prefix}{}", rest[..count].join(separator));
        if cell::width(&shown(rest.len())) <= room {
            break;
        }
        let count = most_fitting(room.saturating_sub(separator.len()), rest.len(), shown).max(1);
        lines.push(format!("{}{}", shown(count), separator.trim_end()));
        (prefix, rest) = (CONTINUED, &rest[count..]);
    }
    lines.push(within(room, prefix, rest, separator));
    lines
}

/// How many of `all` items there can be in what `shown` makes of them.
fn most_fitting(room: usize, all: usize, shown: impl Fn(usize) -> String) -> usize {
    // Each item takes a column at least.
    let most = all.min(room);
    (1..=most).rev().find(|count| cell::width(&shown(*count)) <= room).unwrap_or(0)
}

/// Items and how often each comes, most first.
pub fn tally<T: Ord>(items: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    let mut counts: Vec<(T, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// Ascending numbers, three or more in a row as a range: `3-9`, `11`, `12`.
pub fn ranges(numbers: impl IntoIterator<Item = u32>) -> Vec<String> {
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs.into_iter().flat_map(|(first, last)| range(first, last)).collect()
}

fn range(first: u32, last: u32) -> Vec<String> {
    match last - first {
        0 => vec![first.to_string()],
        1 => vec![first.to_string(), last.to_string()],
        _ => vec![format!("{first}-{last}")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let items: Vec<String> = ["one", "two", "three"].map(str::to_owned).into();
        let line = |room| within(room, "of ", &items, ", ");
        assert_eq!(line(18), "of one, two, three");
        assert_eq!(line(17), "of one and 2 more");
        assert_eq!(line(16), "of one and 2 more", "one at least; the line is cut");
        assert_eq!(line(0), "of one and 2 more");
        assert_eq!(within(9, "none", &[], ", "), "none");
    }

    #[test]
    fn a_list_goes_on_in_the_next_line() {
        let items: Vec<String> = (10..30).map(|item| item.to_string()).collect();
        let few = lines(12, "of ", &items[..5], ", ");
        assert_eq!(few, ["of 10, 11,", "  12, 13, 14"]);
        let many = lines(22, "of ", &items, ", ");
        assert_eq!(many, ["of 10, 11, 12, 13,", "  14, 15, 16, 17, 18,", "  19, 20 and 9 more"]);
        assert_eq!(lines(20, "of ", &items[..2], ", "), ["of 10, 11"]);
        assert_eq!(lines(0, "of ", &items, ", "), ["of 10,", "  11,", "  12 and 17 more"]);
        assert_eq!(lines(9, "none", &[], ", "), ["none"]);
    }

    #[test]
    fn the_most_frequent_comes_first() {
        assert_eq!(tally("abcb".chars()), [('b', 2), ('a', 1), ('c', 1)]);
    }

    #[test]
    fn numbers_in_a_row_are_a_range() {
        assert_eq!(ranges([3, 4, 5, 9, 11, 12]), ["3-5", "9", "11", "12"]);
        assert_eq!(ranges([u32::MAX - 1, u32::MAX]), ["4294967294", "4294967295"]);
        assert!(ranges([]).is_empty());
    }
}

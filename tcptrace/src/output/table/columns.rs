//! Widths of the columns in the lines of groups: the same for all groups of a report, and steady
//! from one report to the next.

use super::name;
use crate::lifecycle::report::Group;
use crate::output::cell;

/// Least columns of the count.
const COUNT: usize = 4;
/// Between columns.
pub const GAP: &str = "  ";
/// Columns that a name may take; how many it keeps where others need them more.
const NAME_MAX: usize = 44;
const NAME_MIN: usize = name::PARTY_MAX;
/// Columns for what stands behind the cause: `oldest ≥ 4m12s  ≈ +3.1/min  fds 41/1024`.
const TAIL: usize = 40;

/// What the columns need. It never shrinks, so they do not jump when a group comes or goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Need {
    count: usize,
    name: usize,
    cause: usize,
}

impl Need {
    /// Takes up the groups of another report.
    pub fn grow<'a>(&mut self, groups: impl Iterator<Item = &'a Group>) {
        for group in groups {
            let count = cell::width(&group.leaks.len().to_string());
            self.count = self.count.max(count).max(COUNT);
            self.name = self.name.max(cell::width(&title(group, NAME_MAX)));
            self.cause = self.cause.max(group.cause.token().len());
        }
    }
}

/// The widths.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    /// How many sockets.
    pub count: usize,
    /// Who.
    pub name: usize,
    /// Why.
    pub cause: usize,
    /// What is left for the rest.
    pub tail: usize,
}

impl Columns {
    /// Fits the columns into a line. Names give way to what stands behind them, down to where only
    /// the process is left of them.
    pub fn fitting(need: Need, width: usize) -> Self {
        let Need { count, name, cause } = need;
        let left = width.saturating_sub(count + cause + 2 * GAP.len());
        let most = left.saturating_sub(GAP.len() + TAIL).clamp(NAME_MIN, NAME_MAX);
        let name = name.min(most).min(left);
        Self { count, name, cause, tail: left.saturating_sub(name + GAP.len()) }
    }
}

/// Who is to blame, or what the group is grouped by, in at most `columns`.
pub fn title(group: &Group, columns: usize) -> String {
    let title = match (&group.by, group.blamed.as_slice()) {
        (Some((what, which)), _) => {
            let (what, which) = (cell::safe(what), cell::safe(which));
            let room = columns.saturating_sub(cell::width(&what) + 1);
            format!("{what} {}", cell::cut_left(&which, room))
        }
        (None, []) => "(no process)".to_owned(),
        (None, [first, others @ ..]) => name::title(first, others.len(), columns),
    };
    cell::cut(&title, columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(name: usize, cause: usize, width: usize) -> Columns {
        Columns::fitting(Need { count: 4, name, cause }, width)
    }

    #[test]
    fn short_names_leave_room_and_long_ones_give_way() {
        let short = columns(12, 12, 100);
        assert_eq!((short.name, short.tail), (12, 66));
        let long = columns(44, 12, 100);
        assert_eq!((long.name, long.tail), (38, TAIL));
        let longest = columns(44, 23, 100);
        assert_eq!((longest.name, longest.tail), (27, TAIL));
    }

    #[test]
    fn what_identifies_a_process_stays() {
        let narrow = columns(44, 23, 60);
        assert_eq!((narrow.name, narrow.tail), (NAME_MIN, 3));
        for width in 0..60 {
            let columns = columns(44, 23, width);
            assert!(columns.name <= NAME_MIN && columns.tail <= width, "{columns:?}");
        }
    }
}

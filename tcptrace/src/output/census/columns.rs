//! The columns of a table with a row for each key: a state each, as far as there is room.

use std::cmp::Reverse;

use super::name;
use crate::lifecycle::census::Counts;
use crate::lifecycle::socket::State;

/// Blanks between columns.
pub const GAP: usize = 2;
/// Heading of what has no column of its own.
const OTHER: &str = "OTHER";

/// A column of counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub heading: &'static str,
    /// States that are counted in it; one but for `OTHER`.
    pub states: Vec<State>,
    /// Its width.
    pub width: usize,
}

impl Column {
    fn new(heading: &'static str, states: Vec<State>, total: &Counts) -> Self {
        let mut column = Self { heading, states, width: 0 };
        column.width = heading.len().max(digits(column.count(total)));
        column
    }

    /// Sockets of a row that belong into it.
    pub fn count(&self, counts: &Counts) -> u64 {
        self.states.iter().map(|state| u64::from(counts.get(*state))).sum()
    }
}

/// Columns for the states of `total` in the order of life, in at most `room`: where there is too
/// little, those with the fewest sockets share one, and those that leaks are in come last.
pub fn fitting(total: &Counts, room: usize) -> Vec<Column> {
    let all: Vec<Column> =
        total.states().map(|state| Column::new(name(state), vec![state], total)).collect();
    if needed(&all) <= room {
        return all;
    }
    let mut by_weight: Vec<State> = total.states().collect();
    by_weight.sort_by_key(|state| Reverse((may_leak(*state), total.get(*state))));
    let mut own = by_weight.len();
    loop {
        own = own.saturating_sub(1);
        let (kept, others) = by_weight.split_at(own);
        let mut columns = all.clone();
        columns.retain(|column| kept.contains(&column.states[0]));
        columns.push(Column::new(OTHER, others.to_vec(), total));
        if own == 0 || needed(&columns) <= room {
            return columns;
        }
    }
}

/// Whether a socket in this state may be a leak.
fn may_leak(state: State) -> bool {
    matches!(state, State::CloseWait | State::Close)
}

/// What has no column of its own, where there is such.
pub fn shared(columns: &[Column]) -> Option<&Column> {
    columns.iter().find(|column| column.heading == OTHER)
}

fn needed(columns: &[Column]) -> usize {
    columns.iter().map(|column| column.width + GAP).sum()
}

/// Columns that a number takes.
pub fn digits(number: u64) -> usize {
    number.to_string().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn total(counts: &[(State, u32)]) -> Counts {
        let mut total = Counts::default();
        for (state, count) in counts {
            (0..*count).for_each(|_| total.add(*state));
        }
        total
    }

    fn headings(columns: &[Column]) -> Vec<&str> {
        columns.iter().map(|column| column.heading).collect()
    }

    #[test]
    fn the_rarest_states_share_a_column_where_room_is_short() {
        let total = total(&[(State::TimeWait, 5), (State::Listen, 2), (State::Close, 1)]);
        let all = fitting(&total, 25);
        assert_eq!(headings(&all), ["LISTEN", "TIME_WAIT", "DEAD"]);
        assert_eq!(shared(&all), None);
        let two = fitting(&total, 24);
        assert_eq!(headings(&two), ["TIME_WAIT", "DEAD", "OTHER"]);
        assert_eq!(shared(&two).unwrap().count(&total), 2);
        assert_eq!(headings(&fitting(&total, 23)), ["DEAD", "OTHER"]);
        assert_eq!(headings(&fitting(&total, 0)), ["OTHER"]);
        assert!(fitting(&Counts::default(), 0).is_empty());
    }

    #[test]
    fn a_column_is_as_wide_as_its_total() {
        let total = total(&[(State::Close, 12_345)]);
        assert_eq!(fitting(&total, 100)[0].width, 5);
    }
}

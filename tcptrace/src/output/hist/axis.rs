//! The axis of time that all pictures of a report share: logarithmic, whole decades.

use crate::lifecycle::dwell::tally::Tally;
use crate::output::cell;

/// Marks on the axis, in ns, the important ones first: they get the room.
const MARKS: [(u64, &str); 19] = [
    (1_000, "1µs"),
    (1_000_000, "1ms"),
    (1_000_000_000, "1s"),
    (60_000_000_000, "1m"),
    (3_600_000_000_000, "1h"),
    (86_400_000_000_000, "1d"),
    (1, "1ns"),
    (10_000, "10µs"),
    (10_000_000, "10ms"),
    (100_000, "100µs"),
    (100_000_000, "100ms"),
    (10_000_000_000, "10s"),
    (600_000_000_000, "10m"),
    (36_000_000_000_000, "10h"),
    (864_000_000_000_000, "10d"),
    (8_640_000_000_000_000, "100d"),
    (10, "10ns"),
    (100, "100ns"),
    (86_400_000_000_000_000, "1000d"),
];
/// Fewest decades: a span of one would look like a difference.
const DECADES_MIN: u32 = 3;

/// The axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Axis {
    /// Power of ten at which it begins, ns.
    first: u32,
    decades: u32,
    cells: usize,
}

impl Axis {
    /// An axis of `cells` columns on which all durations of all tallies have a place.
    pub fn spanning<'a>(tallies: impl Iterator<Item = &'a Tally>, cells: usize) -> Self {
        let (mut low, mut high) = (u64::MAX, 0);
        for bucket in tallies.flat_map(Tally::buckets) {
            low = low.min(bucket.middle_ns);
            high = high.max(bucket.middle_ns);
        }
        let first = decade(low.min(high));
        let decades = (decade(high) + 1 - first).max(DECADES_MIN);
        Self { first, decades, cells }
    }

    /// Columns of the axis.
    pub const fn cells(&self) -> usize {
        self.cells
    }

    /// The column of a duration; `None` left or right of the axis.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a place on a screen, which need not be exact"
    )]
    pub fn cell(&self, ns: u64) -> Option<usize> {
        let ns = ns.max(1);
        let (begin, end) = (power(self.first), power(self.first + self.decades));
        if !(begin..end).contains(&ns.into()) {
            return None;
        }
        let decades = (ns as f64).log10() - f64::from(self.first);
        // A whole decade must not fall short of its column by a rounding error.
        let cell = decades / f64::from(self.decades) * self.cells as f64 + 1e-9;
        Some((cell as usize).min(self.cells.saturating_sub(1)))
    }

    /// The marks that have room, each at its column, with a blank between.
    pub fn labels(&self) -> String {
        let mut line: Vec<char> = vec![' '; self.cells];
        for (ns, label) in MARKS {
            let Some(at) = self.cell(ns) else { continue };
            let end = at + cell::width(label);
            let around = at.saturating_sub(1)..(end + 1).min(self.cells);
            if end <= self.cells && line[around].iter().all(|character| *character == ' ') {
                for (place, character) in line[at..end].iter_mut().zip(label.chars()) {
                    *place = character;
                }
            }
        }
        line.into_iter().collect()
    }
}

fn power(decade: u32) -> u128 {
    10_u128.saturating_pow(decade)
}

fn decade(ns: u64) -> u32 {
    ns.checked_ilog10().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use tcptrace_common::histogram::KERNEL;

    use super::*;

    fn axis(durations: &[u64], cells: usize) -> Axis {
        let mut tally = Tally::new(KERNEL);
        durations.iter().for_each(|ns| tally.add(*ns));
        Axis::spanning(std::iter::once(&tally), cells)
    }

    #[test]
    fn whole_decades_from_the_shortest_to_the_longest() {
        let axis = axis(&[20_000, 3_000_000_000], 24);
        assert_eq!((axis.first, axis.decades), (4, 6));
        assert_eq!(axis.cell(10_000), Some(0));
        assert_eq!(axis.cell(10_000_000), Some(12));
        assert_eq!(axis.cell(9_999_999_999), Some(23));
        assert_eq!((axis.cell(9_999), axis.cell(10_000_000_001)), (None, None));
    }

    #[test]
    fn marks_stand_where_their_time_is_and_do_not_touch() {
        let axis = axis(&[20_000, 3_000_000_000], 24);
        assert_eq!(axis.labels(), "10µs    1ms 10ms    1s  ");
    }

    #[test]
    fn every_duration_has_a_place_however_long() {
        for durations in [&[][..], &[0], &[1], &[u64::MAX], &[0, u64::MAX], &[86_400_000_000_000]] {
            for cells in [1, 5, 25, 130] {
                let axis = axis(durations, cells);
                for ns in durations {
                    assert!(axis.cell(KERNEL.middle(KERNEL.index(*ns))).is_some(), "{ns} {cells}");
                }
                assert_eq!(cell::width(&axis.labels()), cells);
            }
        }
    }
}

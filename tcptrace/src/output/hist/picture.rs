//! A histogram in one line: a bar for each column of the axis.

use super::axis::Axis;
use crate::lifecycle::dwell::tally::Tally;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Bars in proportion to the highest one; what is there at all shows.
pub fn bars(tally: &Tally, axis: &Axis) -> String {
    let mut counts = vec![0_u64; axis.cells()];
    for bucket in tally.buckets() {
        if let Some(count) = axis.cell(bucket.middle_ns).and_then(|cell| counts.get_mut(cell)) {
            *count += bucket.count;
        }
    }
    let most = counts.iter().copied().max().unwrap_or_default();
    counts.iter().map(|count| bar(*count, most)).collect()
}

fn bar(count: u64, most: u64) -> char {
    if count == 0 {
        return ' ';
    }
    let eighths = (u128::from(count) * 8).div_ceil(u128::from(most));
    let level = usize::try_from(eighths).unwrap_or(BARS.len()).clamp(1, BARS.len());
    BARS[level - 1]
}

#[cfg(test)]
mod tests {
    use tcptrace_common::histogram::KERNEL;

    use super::*;

    #[test]
    fn bars_are_in_proportion_and_what_is_rare_still_shows() {
        let mut tally = Tally::new(KERNEL);
        for (ns, count) in [(1_500, 1), (150_000, 500), (1_500_000, 1000)] {
            tally.add_bucket(KERNEL.index(ns), count);
        }
        let axis = Axis::spanning(std::iter::once(&tally), 8);
        assert_eq!(bars(&tally, &axis), "▁   ▄ █ ");
    }

    #[test]
    fn nothing_is_blank_and_huge_counts_do_not_overflow() {
        let mut tally = Tally::new(KERNEL);
        let axis = Axis::spanning(std::iter::once(&tally), 4);
        assert_eq!(bars(&tally, &axis), "    ");
        tally.add_bucket(0, u64::MAX);
        assert_eq!(bars(&tally, &axis), "█   ");
    }
}

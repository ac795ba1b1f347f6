//! What a histogram amounts to, by HdrHistogram.

use hdrhistogram::Histogram;

use super::tally::Tally;

/// Significant digits: as fine as the finest tally.
const DIGITS: u8 = 3;
/// The longest time that a histogram takes: all that 63 bits hold, 292 years. What is longer counts
/// as so long.
const LONGEST_NS: u64 = u64::MAX >> 1;

/// Numbers about durations, ns. Each is as exact as the tally's buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// How many durations.
    pub count: u64,
    /// The shortest.
    pub min_ns: u64,
    /// The mean.
    pub mean_ns: u64,
    /// The median.
    pub p50_ns: u64,
    /// 90 % are not longer.
    pub p90_ns: u64,
    /// 99 % are not longer.
    pub p99_ns: u64,
    /// 99.9 % are not longer.
    pub p999_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

impl Stats {
    /// The numbers of a tally; `None` where no duration is known.
    #[must_use]
    pub fn of(tally: &Tally) -> Option<Self> {
        let histogram = histogram(tally)?;
        // Middles of buckets everywhere, so that one duration alone is the same in each column.
        let middle = |ns| histogram.median_equivalent(ns);
        let quantile = |quantile| middle(histogram.value_at_quantile(quantile));
        Some(Self {
            count: histogram.len(),
            min_ns: middle(histogram.min()),
            mean_ns: whole(histogram.mean()),
            p50_ns: quantile(0.5),
            p90_ns: quantile(0.9),
            p99_ns: quantile(0.99),
            p999_ns: quantile(0.999),
            max_ns: middle(histogram.max()),
        })
    }
}

/// The known durations of a tally as an HdrHistogram of three digits; `None` where there are none.
#[must_use]
pub fn histogram(tally: &Tally) -> Option<Histogram<u64>> {
    // It grows as far as it has to.
    let mut histogram = Histogram::new(DIGITS).ok()?;
    for bucket in tally.buckets() {
        histogram.record_n(bucket.middle_ns.min(LONGEST_NS), bucket.count).ok()?;
    }
    (!histogram.is_empty()).then_some(histogram)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a mean of durations is not negative, and `as` saturates"
)]
fn whole(ns: f64) -> u64 {
    ns.round() as u64
}

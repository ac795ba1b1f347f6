//! How fast leaks grow, and when descriptors run out.

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

use super::report::{Growth, Leak};

/// How far back the rate of a group looks, ns: long enough for a number, short enough that the
/// end of a burst shows.
const WINDOW_NS: u64 = MINUTE_NS;
const MINUTE_NS: u64 = 60_000_000_000;

/// Fewer leaks than this are no series from whose ages a rate can be told.
const SERIES: usize = 3;

/// A process: its pid and start.
pub type ProcessKey = (u32, u64);

/// What earlier reports had.
#[derive(Clone, Debug, Default)]
pub struct Sizes {
    /// Leaks of each group.
    pub groups: Series<String>,
    /// Descriptors for leaked sockets of each process.
    pub processes: Series<ProcessKey>,
}

/// Sizes of something in earlier reports.
#[derive(Clone, Debug)]
pub struct Series<K> {
    samples: VecDeque<(u64, HashMap<K, usize>)>,
}

impl<K> Default for Series<K> {
    fn default() -> Self {
        Self { samples: VecDeque::new() }
    }
}

/// A rate, and whether it can be expected to last: it held in both halves of the time looked at.
/// One burst does not last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// The rate.
    pub growth: Growth,
    /// Whether a forecast may rest on it.
    pub is_steady: bool,
}

impl<K: Eq + Hash> Series<K> {
    /// Takes up the sizes in a report made at `now_ns`.
    pub fn note(&mut self, now_ns: u64, sizes: HashMap<K, usize>) {
        // Two from before the window, of which the later shows what lies between, are enough.
        let is_old = |time: u64| now_ns.saturating_sub(time) > WINDOW_NS;
        while self.samples.get(2).is_some_and(|(time, _)| is_old(*time)) {
            self.samples.pop_front();
        }
        self.samples.push_back((now_ns, sizes));
    }

    /// The trend of what has the size `now` at `now_ns`, from earlier reports; `None` in the first one.
    #[must_use]
    pub fn trend<Q>(&self, key: &Q, now: usize, now_ns: u64) -> Option<Trend>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let mut before = self.samples.iter().filter(|(time, _)| *time < now_ns);
        let is_far = |time: u64| now_ns - time >= WINDOW_NS;
        let last_ns = before.clone().next_back().map(|(time, _)| *time);
        // Another report has to lie between, however rare they are.
        let far = before.clone().rfind(|(time, _)| is_far(*time) && Some(*time) < last_ns);
        let (first_ns, first) = far.or_else(|| before.next())?;
        Some(self.observed(key, now, now_ns, *first_ns, first))
    }

    fn observed<Q>(
        &self,
        key: &Q,
        now: usize,
        now_ns: u64,
        first_ns: u64,
        first: &HashMap<K, usize>,
    ) -> Trend
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        let size = |sizes: &HashMap<K, usize>| sizes.get(key).copied().unwrap_or(0);
        let before = size(first);
        let middle = first_ns.midpoint(now_ns);
        let between = self.samples.iter().filter(|(time, _)| (first_ns + 1..now_ns).contains(time));
        let halfway = between.min_by_key(|(time, _)| time.abs_diff(middle));
        let halfway = halfway.map(|(_, sizes)| size(sizes));
        Trend {
            growth: Growth {
                per_minute: per_minute(now, before, now_ns - first_ns),
                observed: true,
            },
            is_steady: halfway.is_some_and(|halfway| before < halfway && halfway < now),
        }
    }
}

/// How many became old enough to be reported, a minute; told only of a series in both halves of
/// the time in which they came. For a first report, which has nothing but ages.
#[must_use]
pub fn estimated<'a>(leaks: impl Iterator<Item = &'a Leak>, min_age_ns: u64) -> Option<Trend> {
    let ages = leaks.filter_map(|leak| leak.age.at_least()?.checked_sub(min_age_ns));
    let recent: Vec<u64> = ages.filter(|age| *age < WINDOW_NS).collect();
    let oldest = *recent.iter().max()?;
    let young = recent.iter().filter(|age| **age < oldest / 2).count();
    let old = recent.len() - young;
    // The oldest marks the beginning; it came at its end.
    let is_series = recent.len() >= SERIES && young > 0 && old > 1;
    is_series.then(|| Trend {
        growth: Growth { per_minute: per_minute(recent.len() - 1, 0, oldest), observed: false },
        is_steady: true,
    })
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn per_minute(now: usize, before: usize, span_ns: u64) -> f64 {
    (now as f64 - before as f64) * MINUTE_NS as f64 / span_ns as f64
}

/// Time until `used` descriptors become `limit` at `per_minute`, ns; `None`: never.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate; both factors are positive and the product saturates"
)]
pub fn exhausted_in_ns(used: u64, limit: u64, per_minute: f64) -> Option<u64> {
    if limit == u64::MAX || per_minute <= 0.0 {
        return None;
    }
    let minutes = limit.saturating_sub(used) as f64 / per_minute;
    Some((minutes * MINUTE_NS as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::age::Age;
    use crate::lifecycle::leak::tests::sample_leak;

    const MINUTE: u64 = MINUTE_NS;
    const SECOND: u64 = MINUTE / 60;

    fn sizes(size: usize) -> HashMap<String, usize> {
        HashMap::from([("a".to_owned(), size)])
    }

    fn leaks(ages_s: impl IntoIterator<Item = u64>) -> Vec<Leak> {
        let aged = |age| Leak { age: Age::Exact(age * SECOND), ..sample_leak() };
        ages_s.into_iter().map(aged).collect()
    }

    #[test]
    fn a_rate_is_the_difference_between_reports() {
        let mut seen = Series::default();
        seen.note(MINUTE, sizes(4));
        let trend = seen.trend("a", 0, 3 * MINUTE).unwrap();
        assert_eq!((trend.growth.per_minute, trend.growth.observed), (-2.0, true));
        assert!(!trend.is_steady);
    }

    #[test]
    fn a_burst_is_no_trend_and_its_end_shows_after_a_minute() {
        let mut seen = Series::default();
        seen.note(0, sizes(0));
        for second in (5..=60).step_by(5) {
            let trend = seen.trend("a", 10, second * SECOND).unwrap();
            assert!(!trend.is_steady, "{second}");
            seen.note(second * SECOND, sizes(10));
        }
        let later = seen.trend("a", 10, 75 * SECOND).unwrap();
        assert!(later.growth.per_minute.abs() < f64::EPSILON, "{later:?}");
    }

    #[test]
    fn what_grows_in_both_halves_is_steady() {
        // Seconds from one report to the next: also more than the time looked at.
        for interval in [5, 20, 45, 60, 61, 120, 3600] {
            let mut seen = Series::default();
            for step in 0..20_u64 {
                // None is quite at its time.
                let now_ns = step * interval * SECOND + step % 3 * SECOND / 100;
                let leaks = usize::try_from(step).unwrap();
                if step >= 2 {
                    let trend = seen.trend("a", leaks, now_ns).unwrap();
                    assert!(trend.is_steady, "{interval} {step}");
                    let expected = 60.0 / f64::from(u32::try_from(interval).unwrap());
                    let ratio = trend.growth.per_minute / expected;
                    assert!((ratio - 1.0).abs() < 0.01, "{interval} {step}: {trend:?}");
                }
                seen.note(now_ns, sizes(leaks));
            }
        }
    }

    #[test]
    fn old_reports_are_forgotten_and_one_is_always_kept() {
        let mut seen = Series::default();
        for minute in 1..20 {
            seen.note(minute * MINUTE, sizes(0));
        }
        assert!(seen.samples.len() <= 4, "{}", seen.samples.len());
        assert!(seen.trend("a", 0, 20 * MINUTE).unwrap().growth.observed);
        assert_eq!(Series::<String>::default().trend("a", 1, MINUTE), None, "the first report");
    }

    #[test]
    fn the_first_report_tells_a_rate_from_a_series_of_ages_alone() {
        let rate = |ages: Vec<u64>| estimated(leaks(ages).iter(), 30 * SECOND);
        let series = rate((30..40).collect::<Vec<_>>()).unwrap();
        assert!((series.growth.per_minute - 60.0).abs() < 0.01, "{series:?}");
        assert!(!series.growth.observed && series.is_steady);
        assert_eq!(rate(vec![]), None);
        assert_eq!(rate(vec![35; 10]), None, "one burst");
        assert_eq!(rate(vec![31, 35]), None, "too few");
        assert_eq!(rate(vec![500, 501, 502]), None, "long ago");
    }

    #[test]
    fn descriptors_run_out_when_the_rest_is_used_up() {
        assert_eq!(exhausted_in_ns(24, 1024, 10.0), Some(100 * MINUTE));
        assert_eq!(exhausted_in_ns(2000, 1024, 10.0), Some(0));
        assert_eq!(exhausted_in_ns(24, 1024, 0.0), None);
        assert_eq!(exhausted_in_ns(24, u64::MAX, 1.0), None);
    }
}

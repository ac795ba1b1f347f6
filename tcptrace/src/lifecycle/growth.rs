//! How fast leaks grow, and when descriptors run out.

use std::collections::{HashMap, VecDeque};

use super::report::{Growth, Leak};

/// How far back the rate of a group looks, ns.
const WINDOW_NS: u64 = 300_000_000_000;
const MINUTE_NS: u64 = 60_000_000_000;

/// Sizes of groups in earlier reports.
#[derive(Clone, Debug, Default)]
pub struct Sizes {
    samples: VecDeque<(u64, HashMap<String, usize>)>,
}

impl Sizes {
    /// Takes up the sizes in a report made at `now_ns`.
    pub fn note(&mut self, now_ns: u64, sizes: HashMap<String, usize>) {
        while self.samples.len() > 1
            && self.samples.front().is_some_and(|(time, _)| now_ns - *time > WINDOW_NS)
        {
            self.samples.pop_front();
        }
        self.samples.push_back((now_ns, sizes));
    }

    /// The rate of a group with `leaks` at `now_ns`: the difference to an earlier report, or,
    /// where there is none, how many of the leaks came within the last minute that is old enough
    /// to be reported.
    #[must_use]
    pub fn growth(
        &self,
        key: &str,
        leaks: &[Leak],
        now_ns: u64,
        min_age_ns: u64,
    ) -> Option<Growth> {
        match self.samples.front().filter(|(time, _)| *time < now_ns) {
            Some((time, sizes)) => {
                let before = sizes.get(key).copied().unwrap_or(0);
                Some(per_minute(leaks.len(), before, now_ns - time))
            }
            None => recent(leaks, min_age_ns),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn per_minute(now: usize, before: usize, span_ns: u64) -> Growth {
    let change = now as f64 - before as f64;
    Growth { per_minute: change * MINUTE_NS as f64 / span_ns as f64, observed: true }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn recent(leaks: &[Leak], min_age_ns: u64) -> Option<Growth> {
    let mut known = leaks.iter().filter_map(|leak| leak.age.at_least()).peekable();
    known.peek()?;
    let recent = known.filter(|age| *age < min_age_ns + MINUTE_NS).count();
    Some(Growth { per_minute: recent as f64, observed: false })
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

    const MINUTE: u64 = MINUTE_NS;

    fn sizes(size: usize) -> HashMap<String, usize> {
        HashMap::from([("a".to_owned(), size)])
    }

    #[test]
    fn a_rate_is_the_difference_between_reports() {
        let mut seen = Sizes::default();
        seen.note(MINUTE, sizes(4));
        let growth = seen.growth("a", &[], 3 * MINUTE, 0).unwrap();
        assert_eq!((growth.per_minute, growth.observed), (-2.0, true));
    }

    #[test]
    fn old_reports_are_forgotten_and_one_is_always_kept() {
        let mut seen = Sizes::default();
        for minute in 1..20 {
            seen.note(minute * MINUTE, sizes(0));
        }
        assert!(seen.samples.len() <= 7, "{}", seen.samples.len());
        assert!(seen.growth("a", &[], 20 * MINUTE, 0).unwrap().observed);
    }

    #[test]
    fn nothing_known_is_no_rate() {
        assert_eq!(Sizes::default().growth("a", &[], MINUTE, 0), None);
    }

    #[test]
    fn descriptors_run_out_when_the_rest_is_used_up() {
        assert_eq!(exhausted_in_ns(24, 1024, 10.0), Some(100 * MINUTE));
        assert_eq!(exhausted_in_ns(2000, 1024, 10.0), Some(0));
        assert_eq!(exhausted_in_ns(24, 1024, 0.0), None);
        assert_eq!(exhausted_in_ns(24, u64::MAX, 1.0), None);
    }
}

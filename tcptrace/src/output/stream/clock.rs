//! Times of lines. What is the same for a whole second is made once.

use jiff::tz::TimeZone;

use super::text::digits;
use crate::output::units;

const NS_PER_SECOND: u64 = 1_000_000_000;

/// Wall-clock times.
pub struct Clock {
    /// The time to the second, and how it is written.
    second: Option<(u64, String)>,
    write: Box<dyn Fn(u64) -> String>,
    /// Digits behind the second, and what follows them.
    fraction: (u32, &'static [u8]),
}

impl Clock {
    /// RFC 3339, UTC, with ns: `2026-11-22T02:18:00.000000001Z`.
    pub fn rfc3339() -> Self {
        let write = |ns| units::rfc3339_seconds(ns).trim_end_matches('Z').to_owned();
        Self { second: None, write: Box::new(write), fraction: (9, b"Z") }
    }

    /// `12:03:11.123` in a time zone.
    pub fn of_day(zone: TimeZone) -> Self {
        let write = move |ns| units::clock(ns, &zone).trim_end_matches('Z').to_owned();
        Self { second: None, write: Box::new(write), fraction: (3, b"") }
    }

    /// Writes a time, ns since 1970.
    pub fn write(&mut self, ns: u64, out: &mut Vec<u8>) {
        let (second, rest) = (ns / NS_PER_SECOND, ns % NS_PER_SECOND);
        if self.second.as_ref().is_none_or(|(cached, _)| *cached != second) {
            self.second = Some((second, (self.write)(second * NS_PER_SECOND)));
        }
        if let Some((_, text)) = &self.second {
            out.extend_from_slice(text.as_bytes());
        }
        let (count, end) = self.fraction;
        out.push(b'.');
        digits(rest / 10u64.pow(9 - count), count as usize, out);
        out.extend_from_slice(end);
    }
}

/// Seconds with µs, right-aligned in 12 columns as long as they fit: `    0.000123`.
pub fn relative(ns: u64, out: &mut Vec<u8>) {
    let seconds = ns / NS_PER_SECOND;
    let width = seconds.checked_ilog10().unwrap_or(0) as usize + 1;
    out.resize(out.len() + 5_usize.saturating_sub(width), b' ');
    super::text::integer(seconds, out);
    out.push(b'.');
    digits(ns % NS_PER_SECOND / 1000, 6, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(mut clock: Clock, times: &[u64]) -> Vec<String> {
        let text = |ns: &u64| {
            let mut out = Vec::new();
            clock.write(*ns, &mut out);
            String::from_utf8(out).unwrap()
        };
        times.iter().map(text).collect()
    }

    const AT: u64 = 1_795_313_880_000_000_001;

    #[test]
    fn times_are_those_of_the_other_outputs() {
        let times = [AT, AT + 999_999_998, AT + NS_PER_SECOND, AT, 0, u64::MAX];
        for (written, ns) in texts(Clock::rfc3339(), &times).iter().zip(times) {
            assert_eq!(*written, units::rfc3339(ns));
        }
    }

    #[test]
    fn times_of_day_follow_the_zone() {
        let east = TimeZone::fixed(jiff::tz::offset(2));
        let times = [AT, AT + 123_999_999, AT + 60 * NS_PER_SECOND];
        assert_eq!(
            texts(Clock::of_day(east), &times),
            ["04:18:00.000", "04:18:00.124", "04:19:00.000"]
        );
        assert_eq!(texts(Clock::of_day(TimeZone::UTC), &[AT]), ["02:18:00.000"]);
    }

    #[test]
    fn relative_times_stand_under_one_another() {
        let text = |ns| {
            let mut out = Vec::new();
            relative(ns, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(0), "    0.000000");
        assert_eq!(text(123_456), "    0.000123");
        assert_eq!(text(86_400 * NS_PER_SECOND + 1000), "86400.000001");
        assert_eq!(text(1_234_567 * NS_PER_SECOND), "1234567.000000");
    }
}

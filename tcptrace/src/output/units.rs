//! Numbers for people: durations, ages, rates, clock times.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::lifecycle::age::Age;
use crate::lifecycle::report::{FdUse, Growth};
pub use crate::lifecycle::wording::{count, duration};

const NS_PER_SECOND: u64 = 1_000_000_000;
/// A forecast for later than this is a guess.
const FORECAST_MAX_NS: u64 = 86_400 * NS_PER_SECOND;

/// Three digits or two units, at most six characters: `999ns`, `1.23µs`, `12.3ms`, `300ms`, `4.20s`,
/// `59.9s`, `1m03s`, `23h59m`, `2d03h`, `213503d`.
pub fn fine_duration(ns: u64) -> String {
    const STEPS: [(u64, &str); 3] = [(1_000, "µs"), (1_000_000, "ms"), (1_000_000_000, "s")];
    let scaled = |unit_ns: u64, unit: &str| match ns / unit_ns {
        0..10 => format!("{}.{:02}{unit}", ns / unit_ns, ns % unit_ns * 100 / unit_ns),
        10..100 => format!("{}.{}{unit}", ns / unit_ns, ns % unit_ns * 10 / unit_ns),
        whole => format!("{whole}{unit}"),
    };
    match ns {
        0..1_000 => format!("{ns}ns"),
        60_000_000_000.. if ns >= 100 * 86_400 * NS_PER_SECOND => {
            format!("{}d", ns / (86_400 * NS_PER_SECOND))
        }
        60_000_000_000.. => duration(ns),
        _ => {
            let step = STEPS.iter().rev().find(|(unit_ns, _)| ns >= *unit_ns);
            step.map_or_else(|| format!("{ns}ns"), |(unit_ns, unit)| scaled(*unit_ns, unit))
        }
    }
}

/// At most seven characters: `9999999`, `12.3M`, `4567M`, `12.3G`.
pub fn amount(number: u64) -> String {
    const STEPS: [(u64, char); 4] = [
        (1_000_000_000_000_000, 'P'),
        (1_000_000_000_000, 'T'),
        (1_000_000_000, 'G'),
        (1_000_000, 'M'),
    ];
    if number < 10_000_000 {
        return number.to_string();
    }
    let step = STEPS.iter().find(|(unit, _)| number / 10 >= *unit);
    step.map_or_else(
        || number.to_string(),
        |(unit, name)| format!("{}.{}{name}", number / unit, number % unit / (unit / 10)),
    )
}

/// `1m03s`; `≥ 4m12s` for a lower bound; `2s…1m45s` where that is less than half of the upper one;
/// `?` where nothing is known. A bound of 0 says nothing.
pub fn age(age: Age) -> String {
    match age {
        Age::Exact(ns) => duration(ns),
        Age::Between { min: 0, max: None } | Age::Unknown => "?".to_owned(),
        Age::Between { min: 0, max: Some(max) } | Age::AtMost(max) => {
            format!("≤ {}", duration(max))
        }
        Age::Between { min, max: Some(max) } if min < max / 2 => {
            format!("{}…{}", duration(min), duration(max))
        }
        Age::Between { min, .. } => format!("≥ {}", duration(min)),
    }
}

/// `+3.1/min`, `≈ +3.1/min` where it is estimated from the ages in one report, `steady`.
pub fn growth(growth: Growth) -> String {
    let estimated = if growth.observed { "" } else { "≈ " };
    let rate = growth.per_minute;
    match rate.abs() {
        size if size < 0.05 => "steady".to_owned(),
        size if size < 100.0 => format!("{estimated}{rate:+.1}/min"),
        _ => format!("{estimated}{rate:+.0}/min"),
    }
}

/// `fds 41/1024`.
pub fn fds(fds: &FdUse) -> String {
    match fds.limit {
        u64::MAX => format!("fds {}/unlimited", fds.used),
        limit => format!("fds {}/{limit}", fds.used),
    }
}

/// `full`, `full in 3h12m`; `None` where that is further away than a day, or not in sight.
pub fn exhaustion(fds: &FdUse) -> Option<String> {
    if fds.used >= fds.limit {
        return Some("full".to_owned());
    }
    let soon = fds.exhausted_in_ns.filter(|ns| *ns <= FORECAST_MAX_NS);
    soon.map(|ns| format!("full in {}", duration(ns)))
}

/// `12:03:11`, with `Z` behind it when the zone is UTC.
pub fn clock(ns_since_1970: u64, zone: &TimeZone) -> String {
    let time = timestamp(ns_since_1970).to_zoned(zone.clone());
    let utc = if *zone == TimeZone::UTC { "Z" } else { "" };
    format!("{:02}:{:02}:{:02}{utc}", time.hour(), time.minute(), time.second())
}

/// RFC 3339, UTC, with ns: `2026-11-22T02:18:00.000000001Z`.
pub fn rfc3339(ns_since_1970: u64) -> String {
    format!("{:.9}", timestamp(ns_since_1970))
}

/// The same to the second: `2026-11-22T02:18:00Z`.
pub fn rfc3339_seconds(ns_since_1970: u64) -> String {
    format!("{:.0}", timestamp(ns_since_1970))
}

fn timestamp(ns_since_1970: u64) -> Timestamp {
    // u64 ends in the year 2554, well within a timestamp's range.
    Timestamp::from_nanosecond(i128::from(ns_since_1970)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = NS_PER_SECOND;

    #[test]
    fn fine_durations_have_three_digits_and_never_grow() {
        for (ns, text) in [
            (0, "0ns"),
            (999, "999ns"),
            (1_000, "1.00µs"),
            (1_239, "1.23µs"),
            (12_399, "12.3µs"),
            (999_999, "999µs"),
            (300_400_000, "300ms"),
            (4_205_000_000, "4.20s"),
            (59_999_999_999, "59.9s"),
            (63 * S, "1m03s"),
            (86_399 * S, "23h59m"),
            (2 * 86_400 * S + 3 * 3600 * S, "2d03h"),
            (104 * 86_400 * S, "104d"),
        ] {
            assert_eq!(fine_duration(ns), text);
        }
        for exponent in 0..64 {
            let ns = 1_u64 << exponent;
            let chars =
                fine_duration(ns).chars().count().max(fine_duration(ns - 1).chars().count());
            assert!(chars <= 7, "{}", fine_duration(ns));
            assert!(chars <= 6 || ns > 10_000 * 86_400 * S, "{}", fine_duration(ns));
        }
    }

    #[test]
    fn amounts_fit_into_seven_characters() {
        for (number, text) in [
            (0, "0"),
            (9_999_999, "9999999"),
            (12_345_678, "12.3M"),
            (4_567_890_123, "4567.8M"),
            (12_345_678_901, "12.3G"),
        ] {
            assert_eq!(amount(number), text);
        }
        for exponent in 0..64 {
            assert!(amount(1 << exponent).len() <= 8, "{}", amount(1 << exponent));
        }
    }

    #[test]
    fn an_age_says_how_well_it_is_known() {
        assert_eq!(age(Age::Exact(63 * S)), "1m03s");
        assert_eq!(age(Age::Between { min: 252 * S, max: None }), "≥ 4m12s");
        assert_eq!(age(Age::Between { min: 252 * S, max: Some(260 * S) }), "≥ 4m12s");
        assert_eq!(age(Age::Between { min: 2 * S, max: Some(105 * S) }), "2s…1m45s");
        assert_eq!(age(Age::Between { min: 0, max: Some(S) }), "≤ 1s");
        assert_eq!(age(Age::Between { min: 0, max: None }), "?");
        assert_eq!(age(Age::AtMost(S)), "≤ 1s");
        assert_eq!(age(Age::Unknown), "?");
        assert_eq!(age(Age::Exact(0)), "0s", "known, and just now");
    }

    #[test]
    fn growth_shows_sign_and_kind() {
        let show = |per_minute, observed| growth(Growth { per_minute, observed });
        assert_eq!(show(3.125, true), "+3.1/min");
        assert_eq!(show(-0.4, true), "-0.4/min");
        assert_eq!(show(3.125, false), "≈ +3.1/min");
        assert_eq!(show(-0.01, true), "steady");
        assert_eq!(show(0.04, false), "steady");
        assert_eq!(show(-0.05, true), "-0.1/min");
        assert_eq!(show(12_345.6, true), "+12346/min");
    }

    #[test]
    fn descriptors_and_when_they_run_out() {
        let mut use_ = FdUse { pid: 1, used: 41, limit: 1024, exhausted_in_ns: None };
        assert_eq!((fds(&use_).as_str(), exhaustion(&use_)), ("fds 41/1024", None));
        use_.exhausted_in_ns = Some(11_520 * S);
        assert_eq!(exhaustion(&use_).as_deref(), Some("full in 3h12m"));
        use_.exhausted_in_ns = Some(86_401 * S);
        assert_eq!(exhaustion(&use_), None, "too far away to say");
        use_.used = 1024;
        assert_eq!(exhaustion(&use_).as_deref(), Some("full"));
        use_.limit = u64::MAX;
        assert_eq!(fds(&use_), "fds 1024/unlimited");
    }

    #[test]
    fn times() {
        let ns = 1_795_313_880_000_000_001;
        assert_eq!(rfc3339(ns), "2026-11-22T02:18:00.000000001Z");
        assert_eq!(rfc3339_seconds(ns), "2026-11-22T02:18:00Z");
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(clock(ns, &TimeZone::UTC), "02:18:00Z");
        let east = TimeZone::fixed(jiff::tz::offset(2));
        assert_eq!(clock(ns, &east), "04:18:00");
        assert!(rfc3339(u64::MAX).starts_with("2554-"));
    }
}

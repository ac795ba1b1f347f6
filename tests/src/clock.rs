//! The two clocks of a test: monotonic, which the scenario programs report in, and wall time,
//! which the tool prints.

use anyhow::{Context, Result, ensure};

/// Nanoseconds in one second.
pub const SECOND: i64 = 1_000_000_000;
/// Nanoseconds in one millisecond.
pub const MILLI: i64 = 1_000_000;
/// The wall clock may have been set by so much between two lines.
pub const CLOCK_SET: i64 = 2 * MILLI;

/// `CLOCK_MONOTONIC` now, in nanoseconds. The same in every process of the host.
pub fn monotonic_ns() -> i64 {
    read(libc::CLOCK_MONOTONIC)
}

/// `CLOCK_REALTIME` now, in nanoseconds since 1970.
pub fn wall_ns() -> i64 {
    read(libc::CLOCK_REALTIME)
}

/// The wall time of a monotonic moment.
pub fn wall_of(monotonic: i64) -> i64 {
    monotonic + wall_offset_ns()
}

/// Wall clock minus monotonic clock: the least disturbed of a few readings, as a thread may be
/// preempted between the two clocks.
fn wall_offset_ns() -> i64 {
    let readings = (0..5).map(|_| {
        let (before, wall, after) = (monotonic_ns(), wall_ns(), monotonic_ns());
        (after - before, wall - before.midpoint(after))
    });
    readings.min().map_or(0, |(_, offset)| offset)
}

fn read(clock: libc::clockid_t) -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec for the length of the call, and both clocks always exist.
    unsafe { libc::clock_gettime(clock, &mut now) };
    now.tv_sec * SECOND + now.tv_nsec
}

/// An RFC 3339 time as nanoseconds since 1970, and how coarse its last digit is.
pub fn parse_rfc3339(text: &str) -> Result<(i64, i64)> {
    parse(text).with_context(|| format!("not an RFC 3339 time: {text:?}"))
}

fn parse(text: &str) -> Result<(i64, i64)> {
    ensure!(text.is_ascii() && text.len() > 19, "too short");
    let number = |range: std::ops::Range<usize>| -> Result<i64> { Ok(text[range].parse()?) };
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    ensure!(marks.iter().all(|&(at, mark)| text.as_bytes()[at] == mark), "wrong separators");
    let days = days_from_civil(number(0..4)?, number(5..7)?, number(8..10)?);
    let seconds = days * 86_400 + number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    let (fraction, coarse, zone) = fraction(&text[19..])?;
    Ok(((seconds - offset_seconds(zone)?) * SECOND + fraction, coarse))
}

/// The digits after the point in nanoseconds, the value of the last digit, and what follows.
fn fraction(rest: &str) -> Result<(i64, i64, &str)> {
    let Some(rest) = rest.strip_prefix('.') else {
        return Ok((0, SECOND, rest));
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    ensure!((1..=9).contains(&digits), "bad fraction");
    let coarse = 10i64.pow(9 - digits as u32);
    Ok((rest[..digits].parse::<i64>()? * coarse, coarse, &rest[digits..]))
}

fn offset_seconds(zone: &str) -> Result<i64> {
    if zone == "Z" {
        return Ok(0);
    }
    ensure!(zone.len() == 6 && &zone[3..4] == ":", "bad zone {zone:?}");
    let size = zone[1..3].parse::<i64>()? * 3600 + zone[4..6].parse::<i64>()? * 60;
    match &zone[..1] {
        "+" => Ok(size),
        "-" => Ok(-size),
        _ => anyhow::bail!("bad zone {zone:?}"),
    }
}

fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_times() {
        assert_eq!(parse_rfc3339("1970-01-01T00:00:01Z").unwrap(), (SECOND, SECOND));
        let (at, coarse) = parse_rfc3339("2026-11-22T12:03:11.250Z").unwrap();
        assert_eq!((at, coarse), (1_795_348_991 * SECOND + 250 * MILLI, MILLI));
        let (east, _) = parse_rfc3339("2026-11-22T14:03:11.25+02:00").unwrap();
        assert_eq!(east, at);
        assert_eq!(parse_rfc3339("2024-02-29T00:00:00Z").unwrap().0, 1_709_164_800 * SECOND);
    }

    #[test]
    fn not_a_time() {
        for text in ["", "yesterday, around noon", "2026-11-22 12:03:11Z", "2026-11-22T12:03:11"] {
            assert!(parse_rfc3339(text).is_err(), "{text}");
        }
    }
}

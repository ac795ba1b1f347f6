//! Amounts in sentences for people.

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_SECOND: u64 = 1_000_000_000;

/// Two units at most, rounded down: `500ms`, `1.5s`, `41s`, `1m03s`, `5m`, `1h30m`, `2d03h`.
#[must_use]
pub fn duration(ns: u64) -> String {
    let seconds = ns / NS_PER_SECOND;
    match seconds {
        0 if ns == 0 => "0s".to_owned(),
        0 => format!("{}ms", ns / NS_PER_MS),
        1..10 => match ns % NS_PER_SECOND / (100 * NS_PER_MS) {
            0 => format!("{seconds}s"),
            tenths => format!("{seconds}.{tenths}s"),
        },
        10..60 => format!("{seconds}s"),
        60..3600 => two(seconds / 60, 'm', seconds % 60, 's'),
        3600..86400 => two(seconds / 3600, 'h', seconds / 60 % 60, 'm'),
        _ => two(seconds / 86400, 'd', seconds / 3600 % 24, 'h'),
    }
}

/// `1 socket`, `2 sockets`.
#[must_use]
pub fn count(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {one}{plural}")
}

fn two(large: u64, large_unit: char, small: u64, small_unit: char) -> String {
    match small {
        0 => format!("{large}{large_unit}"),
        small => format!("{large}{large_unit}{small:02}{small_unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = NS_PER_SECOND;

    #[test]
    fn durations_have_two_units_at_most_and_never_grow() {
        for (ns, text) in [
            (0, "0s"),
            (999, "0ms"),
            (500 * NS_PER_MS, "500ms"),
            (1500 * NS_PER_MS, "1.5s"),
            (9_999 * NS_PER_MS, "9.9s"),
            (30 * S, "30s"),
            (63 * S, "1m03s"),
            (300 * S, "5m"),
            (3599 * S, "59m59s"),
            (5400 * S, "1h30m"),
            (86_400 * S, "1d"),
            (2 * 86_400 * S + 3 * 3600 * S, "2d03h"),
        ] {
            assert_eq!(duration(ns), text);
        }
        assert!(duration(u64::MAX).ends_with('h'));
    }
}

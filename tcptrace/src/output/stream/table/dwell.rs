//! A dwell for people: three digits are enough, a bound says so, and what is not known is `-`.

use super::fit::Cell;
use crate::lifecycle::event::Dwell;

const US: u64 = 1_000;
const MS: u64 = 1_000_000;
const S: u64 = 1_000_000_000;

/// `42µs`, `1.23ms`, `300ms`, `1m03s`; `≥ 4m12s`, `≤ 4.00ms`; `-`.
pub fn write(dwell: Dwell, cell: &mut Cell) {
    cell.set("", 0);
    let ns = match dwell {
        Dwell::Unknown => return cell.set("-", 1),
        Dwell::Exact(ns) => ns,
        Dwell::AtLeast(ns) => {
            cell.add("≥ ", 2);
            ns
        }
        Dwell::AtMost(ns) => {
            cell.add("≤ ", 2);
            ns
        }
    };
    duration(ns, cell);
}

/// Rounded down, but never to nothing.
fn duration(ns: u64, cell: &mut Cell) {
    let seconds = ns / S;
    match ns {
        0..US => cell.add("<1µs", 4),
        US..MS => decimal(ns, US, "µs", cell),
        MS..S => decimal(ns, MS, "ms", cell),
        _ => match seconds {
            0..60 => decimal(ns, S, "s", cell),
            60..3600 => two(seconds / 60, "m", seconds % 60, "s", cell),
            3600..86400 => two(seconds / 3600, "h", seconds / 60 % 60, "m", cell),
            _ => two(seconds / 86400, "d", seconds / 3600 % 24, "h", cell),
        },
    }
}

/// A number of 1 to 999 units with three digits.
fn decimal(ns: u64, unit: u64, name: &str, cell: &mut Cell) {
    let whole = ns / unit;
    cell.number(whole, 1);
    let digits = match whole {
        0..10 => 2,
        10..100 => 1,
        _ => 0,
    };
    if digits > 0 {
        cell.add(".", 1);
        cell.number(ns % unit * 10_u64.pow(digits) / unit, digits as usize);
    }
    cell.add(name, name.chars().count());
}

fn two(large: u64, large_unit: &str, small: u64, small_unit: &str, cell: &mut Cell) {
    cell.number(large, 1);
    cell.add(large_unit, 1);
    cell.number(small, 2);
    cell.add(small_unit, 1);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(dwell: Dwell) -> String {
        let mut cell = Cell::default();
        write(dwell, &mut cell);
        assert_eq!(cell.width(), cell.text().chars().count(), "{}", cell.text());
        cell.text().to_owned()
    }

    #[test]
    fn three_digits_and_never_rounded_up() {
        for (ns, shown) in [
            (0, "<1µs"),
            (999, "<1µs"),
            (1_000, "1.00µs"),
            (42_345, "42.3µs"),
            (999_999, "999µs"),
            (1_239_999, "1.23ms"),
            (300_123_456, "300ms"),
            (S, "1.00s"),
            (59_999_999_999, "59.9s"),
            (60 * S, "1m00s"),
            (3_599 * S, "59m59s"),
            (5_400 * S, "1h30m"),
            (2 * 86_400 * S + 3 * 3_600 * S, "2d03h"),
        ] {
            assert_eq!(text(Dwell::Exact(ns)), shown);
        }
    }

    #[test]
    fn what_is_known_in_part_says_so() {
        assert_eq!(text(Dwell::AtLeast(252 * S)), "≥ 4m12s");
        assert_eq!(text(Dwell::AtMost(4_096_000)), "≤ 4.09ms");
        assert_eq!(text(Dwell::Unknown), "-");
    }
}

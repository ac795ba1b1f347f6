//! Values that are known to do harm.

use super::default::KernelFacts;
use super::value::{number, numbers, same};

/// A value that a setting has or should get, and what it is judged by.
#[derive(Clone, Copy, Debug)]
pub struct Setting<'a> {
    /// As it was read or written.
    pub value: &'a str,
    /// The default on this kernel; `None`: not known.
    pub default: Option<&'a str>,
    /// What is known of the kernel.
    pub kernel: &'a KernelFacts,
}

/// A rule: which values do harm, and which harm.
#[derive(Clone, Copy, Debug)]
pub enum Risk {
    /// This value.
    Is(&'static str, &'static str),
    /// Any number below this.
    Below(i64, &'static str),
    /// Any number above this.
    Above(i64, &'static str),
    /// Less than one part in so many of the default; no harm is claimed where that is not known.
    BelowDefaultBy(i64, &'static str),
    /// A value of several numbers whose number at this place, from 0, is above the limit.
    PlaceAbove(usize, i64, &'static str),
    /// The same, below the limit.
    PlaceBelow(usize, i64, &'static str),
    /// What a function finds.
    Check(fn(&Setting<'_>) -> Option<&'static str>),
}

impl Risk {
    /// The harm that this rule finds in a setting.
    #[must_use]
    pub fn harm_of(&self, setting: &Setting<'_>) -> Option<&'static str> {
        let value = number(setting.value);
        let place = |place: usize| numbers(setting.value)?.get(place).copied();
        let (applies, why) = match *self {
            Self::Is(harmful, why) => (same(setting.value, harmful), why),
            Self::Below(limit, why) => (value.is_some_and(|value| value < limit), why),
            Self::Above(limit, why) => (value.is_some_and(|value| value > limit), why),
            Self::BelowDefaultBy(parts, why) => {
                let default = setting.default.and_then(number);
                let low = |(value, default): (i64, i64)| value.saturating_mul(parts) < default;
                (value.zip(default).is_some_and(low), why)
            }
            Self::PlaceAbove(at, limit, why) => (place(at).is_some_and(|n| n > limit), why),
            Self::PlaceBelow(at, limit, why) => (place(at).is_some_and(|n| n < limit), why),
            Self::Check(check) => return check(setting),
        };
        applies.then_some(why)
    }
}

/// The first harm that one of `risks` finds.
#[must_use]
pub fn harm(risks: &[Risk], setting: &Setting<'_>) -> Option<&'static str> {
    risks.iter().find_map(|risk| risk.harm_of(setting))
}

/// What is wrong with a value that should be three numbers, each at least the one before.
pub(super) fn not_three_ascending(setting: &Setting<'_>) -> Option<&'static str> {
    let ascending = numbers(setting.value)
        .is_some_and(|numbers| numbers.len() == 3 && numbers.is_sorted() && numbers[0] > 0);
    (!ascending).then_some("it takes three numbers, each at least the one before")
}

/// What is wrong with net.ipv4.tcp_mem, which counts pages. The default of its last number is 9.37 %
/// of memory (net/ipv4/tcp.c tcp_init_mem()).
pub(super) fn tcp_memory(setting: &Setting<'_>) -> Option<&'static str> {
    let memory = setting.kernel.memory_bytes?;
    let most = u64::try_from(*numbers(setting.value)?.get(2)?).ok()?;
    let bytes = most.saturating_mul(setting.kernel.page_size);
    if bytes > memory {
        return Some(
            "its last number is more pages than the host has, so it limits nothing: it counts \
             pages, and this looks like bytes",
        );
    }
    (bytes < memory / 64).then_some(
        "TCP may use less than 1/64 of memory; beyond that the kernel drops what arrives and \
         resets closed connections",
    )
}

/// What is wrong with a range of local ports. The default has 28,232 (32768 to 60999).
pub(super) fn port_range(setting: &Setting<'_>) -> Option<&'static str> {
    let numbers = numbers(setting.value)?;
    let [first, last] = numbers[..] else {
        return Some("it takes two numbers, the first and the last port");
    };
    if last.saturating_sub(first) < 28_231 {
        return Some("fewer local ports than the default: connect() runs out of them sooner");
    }
    (first < 10_000).then_some(
        "it begins among the ports that services listen on (1024 to 9999: databases, proxies, \
         queues): an outgoing connection may hold such a port when its service starts, which then \
         fails with EADDRINUSE",
    )
}

/// What is wrong with fs.file-max: a quarter of the kernel's own choice, which is one file for each
/// 10 KiB of memory and at least 8192 (fs/file_table.c files_maxfiles_init()).
pub(super) fn few_files(setting: &Setting<'_>) -> Option<&'static str> {
    let files = u64::try_from(number(setting.value)?).ok()?;
    let usual = setting.kernel.memory_bytes.map_or(0, |bytes| bytes / 10_240).max(8192);
    (files < usual / 4).then_some(
        "far fewer than the kernel chooses by itself: all processes together run into ENFILE",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNEL: KernelFacts = KernelFacts {
        version: (6, 18),
        ehash_entries: None,
        memory_bytes: Some(16 << 30),
        page_size: 4096,
    };

    fn setting<'a>(value: &'a str, default: Option<&'a str>) -> Setting<'a> {
        Setting { value, default, kernel: &KERNEL }
    }

    #[test]
    fn limits_are_still_good() {
        let found = |risk: Risk, value| risk.harm_of(&setting(value, Some("100"))).is_some();
        assert!(found(Risk::Below(8, "low"), "7\n"));
        assert!(!found(Risk::Below(8, "low"), "8"));
        assert!(found(Risk::Above(8, "high"), "9"));
        assert!(!found(Risk::Above(8, "high"), "8"));
        assert!(found(Risk::BelowDefaultBy(2, "low"), "49"));
        assert!(!found(Risk::BelowDefaultBy(2, "low"), "50"));
        assert!(found(Risk::Is("1", "one"), " 1\n"));
        assert!(!found(Risk::Is("1", "one"), "11"));
        assert!(found(Risk::PlaceAbove(1, 5, "high"), "9 6 1"));
        assert!(!found(Risk::PlaceAbove(1, 5, "high"), "9 5 1"));
        assert!(found(Risk::PlaceBelow(2, 5, "low"), "9 6 4"));
    }

    #[test]
    fn nothing_is_claimed_without_a_number_or_a_default() {
        let low = Risk::BelowDefaultBy(2, "low");
        assert_eq!(low.harm_of(&setting("1", None)), None);
        assert_eq!(low.harm_of(&setting("x", Some("100"))), None);
        assert_eq!(Risk::Below(8, "low").harm_of(&setting("", None)), None);
        assert_eq!(Risk::PlaceAbove(1, 5, "high").harm_of(&setting("9", None)), None);
    }

    #[test]
    fn tcp_memory_counts_pages() {
        let found = |value| tcp_memory(&setting(value, None));
        assert!(found("16777216 16777216 16777216").unwrap().contains("bytes"));
        assert!(found("1024 2048 4096").unwrap().contains("1/64"));
        assert_eq!(found("192297 256399 384594"), None);
        assert_eq!(found("192297"), None);
    }

    #[test]
    fn ranges_of_ports() {
        let found = |value| port_range(&setting(value, None));
        assert_eq!(found("32768\t60999"), None);
        assert_eq!(found("10000 65000"), None);
        assert!(found("32768 60998").unwrap().contains("fewer"));
        assert!(found("1024 65535").unwrap().contains("services"));
        assert!(found("1024").unwrap().contains("two numbers"));
        assert!(found("-9223372036854775808 5").is_some());
    }

    #[test]
    fn files_by_memory() {
        assert!(few_files(&setting("65535", None)).is_some());
        assert_eq!(few_files(&setting("1670000", None)), None);
        assert_eq!(few_files(&setting("9223372036854775807", None)), None);
    }

    #[test]
    fn three_numbers_ascend() {
        let bad = |value| not_three_ascending(&setting(value, None)).is_some();
        assert!(!bad("4096 131072 6291456"));
        assert!(!bad("1 1 1"));
        for value in ["4096 131072", "3 2 1", "0 1 2", "4096,131072,6291456", ""] {
            assert!(bad(value), "{value}");
        }
    }
}

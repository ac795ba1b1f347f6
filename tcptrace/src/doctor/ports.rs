//! The ports that the kernel gives to connections that do not name one.

use std::ops::RangeInclusive;

/// `net.ipv4.ip_local_port_range` without `ip_local_reserved_ports`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ephemeral {
    range: RangeInclusive<u16>,
    reserved: Vec<RangeInclusive<u16>>,
}

impl Ephemeral {
    /// From the two sysctls as they read; the second may be missing or empty.
    #[must_use]
    pub fn parse(range: &str, reserved: &str) -> Option<Self> {
        let mut ends = range.split_whitespace().map(str::parse);
        let (low, high) = (ends.next()?.ok()?, ends.next()?.ok()?);
        let reserved = reserved.trim().split(',').filter_map(|part| {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            Some(low.trim().parse().ok()?..=high.trim().parse().ok()?)
        });
        Some(Self { range: low..=high, reserved: reserved.collect() })
    }

    /// Whether the kernel may give this port.
    #[must_use]
    pub fn has(&self, port: u16) -> bool {
        self.range.contains(&port) && !self.reserved.iter().any(|range| range.contains(&port))
    }

    /// How many ports these are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.range.clone().filter(|port| self.has(*port)).count() as u64
    }

    /// First and last port of the range, reserved ones among them.
    #[must_use]
    pub const fn ends(&self) -> (u16, u16) {
        (*self.range.start(), *self.range.end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_ports_do_not_count() {
        let all = Ephemeral::parse("32768\t60999\n", "\n").unwrap();
        assert_eq!(all.count(), 28232);
        let some = Ephemeral::parse("100 109", "80,102,105-106,2000").unwrap();
        assert_eq!(some.count(), 7);
        assert!(some.has(104) && !some.has(105) && !some.has(99));
        assert_eq!(Ephemeral::parse("100", ""), None);
        assert_eq!(Ephemeral::parse("x y", ""), None);
    }
}

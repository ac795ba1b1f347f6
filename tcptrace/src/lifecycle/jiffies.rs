//! Jiffies, the kernel's coarse clock, turned into ns.
//!
//! TCP stamps a socket with the low 32 bits of jiffies, whose rate is told by a pair of readings
//! (see [`tcptrace_common::jiffies`]).

/// A known rate of jiffies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jiffies {
    /// Ticks a second.
    pub rate: u64,
}

impl Jiffies {
    /// The rate that explains a reading of the monotonic clock, ns, and of `jiffies_64` at the
    /// same moment; `None` where no rate does.
    #[must_use]
    pub fn calibrate(monotonic_ns: u64, jiffies: u64) -> Option<Self> {
        let rate = tcptrace_common::jiffies::rate(monotonic_ns, jiffies);
        (rate != 0).then_some(Self { rate })
    }

    /// Time from `then` (low 32 bits) to `now`, ns. Right for spans below 2³¹ ticks (24 days at
    /// 1000 a second); a stamp that was set after `now` was read is 0 ago.
    #[must_use]
    pub fn since(self, then: u32, now: u64) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are what is compared")]
        let ticks = (now as u32).wrapping_sub(then);
        u64::from(ticks.cast_signed().max(0).cast_unsigned()) * 1_000_000_000 / self.rate
    }

    /// One tick, ns: how exact [`Self::since`] is.
    #[must_use]
    pub fn tick_ns(self) -> u64 {
        1_000_000_000 / self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_survive_the_wrap_of_32_bits() {
        let jiffies = Jiffies { rate: 250 };
        assert_eq!(jiffies.since(u32::MAX - 249, 1 << 32), 1_000_000_000);
        assert_eq!(jiffies.since(5, (1 << 32) + 4), 0, "stamped after the reading");
        assert_eq!(jiffies.tick_ns(), 4_000_000);
    }
}

//! Jiffies, the kernel's coarse clock, turned into ns.
//!
//! TCP stamps a socket with the low 32 bits of jiffies; their rate (`CONFIG_HZ`) is told nowhere
//! to user space. But the counter starts at 2³² − 300 s when the monotonic clock starts at 0
//! (`INITIAL_JIFFIES`, `include/linux/jiffies.h`), so one pair of readings tells it.

/// The rates that kernels are built with (`kernel/Kconfig.hz`; 24 and 1024 on some machines).
const RATES: [u64; 8] = [24, 48, 100, 250, 256, 300, 1000, 1024];

/// How far the two clocks may have drifted apart, s: ticks that a stopped virtual machine lost.
const TOLERANCE: f64 = 30.0;

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
    #[expect(clippy::cast_precision_loss, reason = "a comparison of seconds")]
    pub fn calibrate(monotonic_ns: u64, jiffies: u64) -> Option<Self> {
        let uptime = monotonic_ns as f64 / 1e9;
        let error = |rate: u64| {
            let start = (1_u64 << 32) - 300 * rate;
            (jiffies.wrapping_sub(start).cast_signed() as f64 / rate as f64 - uptime).abs()
        };
        let best = RATES.into_iter().min_by(|a, b| error(*a).total_cmp(&error(*b)))?;
        (error(best) < TOLERANCE).then_some(Self { rate: best })
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

    fn reading(rate: u64, uptime_s: u64) -> (u64, u64) {
        (uptime_s * 1_000_000_000, (1 << 32) - 300 * rate + rate * uptime_s)
    }

    #[test]
    fn every_rate_is_told_from_the_others_soon_and_late_after_boot() {
        for rate in RATES {
            for uptime in [2, 60, 100_000, 40_000_000] {
                let (monotonic, jiffies) = reading(rate, uptime);
                let found = Jiffies::calibrate(monotonic, jiffies);
                assert_eq!(found, Some(Jiffies { rate }), "{rate} at {uptime} s");
            }
        }
    }

    #[test]
    fn a_reading_that_fits_no_rate_gives_none() {
        assert_eq!(Jiffies::calibrate(5_000_000_000, 12), None);
    }

    #[test]
    fn spans_survive_the_wrap_of_32_bits() {
        let jiffies = Jiffies { rate: 250 };
        assert_eq!(jiffies.since(u32::MAX - 249, 1 << 32), 1_000_000_000);
        assert_eq!(jiffies.since(5, (1 << 32) + 4), 0, "stamped after the reading");
        assert_eq!(jiffies.tick_ns(), 4_000_000);
    }
}

//! The rate of jiffies, the kernel's coarse clock.
//!
//! It is told nowhere to user space (`CONFIG_HZ`). But the counter starts at 2³² − 300 s when the
//! monotonic clock starts at 0 (`INITIAL_JIFFIES`, `include/linux/jiffies.h`), so one pair of
//! readings tells it.

/// The rates that kernels are built with (`kernel/Kconfig.hz`; 24 and 1024 on some machines).
pub const RATES: [u64; 8] = [24, 48, 100, 250, 256, 300, 1000, 1024];

/// How far the two clocks may have drifted apart, ms: ticks that a stopped virtual machine lost.
const TOLERANCE_MS: u64 = 30_000;

/// Ticks a second, by a reading of the monotonic clock, ns, and of `jiffies_64` at the same moment;
/// 0 where no rate explains them.
#[must_use]
#[inline(always)]
pub const fn rate(monotonic_ns: u64, jiffies: u64) -> u64 {
    let (mut best, mut least, mut at) = (0, TOLERANCE_MS, 0);
    while at < RATES.len() {
        let error = error_ms(RATES[at], monotonic_ns, jiffies);
        if error < least {
            (best, least) = (RATES[at], error);
        }
        at += 1;
    }
    best
}

/// How far a rate is from explaining the readings, ms.
#[inline(always)]
const fn error_ms(rate: u64, monotonic_ns: u64, jiffies: u64) -> u64 {
    let expected = (1 << 32) - 300 * rate + monotonic_ns / 1_000_000 * rate / 1000;
    // Bounded, not saturating: eBPF has no product of 128 bits.
    let ticks = jiffies.abs_diff(expected);
    (if ticks > 1 << 40 { 1 << 40 } else { ticks }) * 1000 / rate
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rate_is_told_from_the_others_soon_and_late_after_boot() {
        for rate in RATES {
            for uptime in [2, 60, 100_000, 40_000_000] {
                let jiffies = (1 << 32) - 300 * rate + rate * uptime;
                assert_eq!(super::rate(uptime * 1_000_000_000, jiffies), rate, "at {uptime} s");
            }
        }
    }

    #[test]
    fn a_reading_that_fits_no_rate_gives_none() {
        assert_eq!(rate(5_000_000_000, 12), 0);
    }
}

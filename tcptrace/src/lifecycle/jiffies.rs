//! Jiffies, the kernel's coarse clock, turned into ns.
//!
//! TCP stamps a socket with the low 32 bits of jiffies, whose rate is told by a pair of readings
//! (see [`tcptrace_common::jiffies`]).

/// Stamps may be so many ticks ahead of the reading that they are held against, and not more: a
/// socket goes on while it is looked at. A minute at 1000 a second.
const AHEAD: u32 = 60_000;

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

    /// Time from `then` (low 32 bits) to `now`, ns; 0 for a stamp that was set after `now` was read. Of
    /// 2³² ticks and more (49 days at 1000 a second) it is the remainder, see [`Self::tells_all`].
    #[must_use]
    pub fn since(self, then: u32, now: u64) -> u64 {
        #[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are what is compared")]
        let ticks = ticks(then, now as u32);
        u64::from(ticks) * 1_000_000_000 / self.rate
    }

    /// Whether [`Self::since`] leaves nothing out at `now`: the host has not run for 2³² ticks yet.
    #[must_use]
    pub fn tells_all(self, now: u64) -> bool {
        let boot = (1 << 32) - 300 * self.rate;
        now.saturating_sub(boot) < 1 << 32
    }

    /// One tick, ns: how exact [`Self::since`] is.
    #[must_use]
    pub fn tick_ns(self) -> u64 {
        1_000_000_000 / self.rate
    }
}

/// Ticks from one stamp to another, 0 where that comes first.
#[must_use]
pub const fn ticks(then: u32, now: u32) -> u32 {
    let ticks = now.wrapping_sub(then);
    if ticks > u32::MAX - AHEAD { 0 } else { ticks }
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

    #[test]
    fn weeks_are_told_until_all_32_bits_are_used_up() {
        let (jiffies, day) = (Jiffies { rate: 1000 }, 86_400_000_u64);
        let boot = (1 << 32) - 300_000;
        #[expect(clippy::cast_possible_truncation, reason = "what the kernel keeps of it")]
        let ago = |days: u64, now: u64| {
            jiffies.since((now - days * day) as u32, now) / 86_400_000_000_000
        };
        let now = boot + 49 * day;
        assert_eq!([0, 24, 25, 30, 49].map(|days| ago(days, now)), [0, 24, 25, 30, 49]);
        assert!(jiffies.tells_all(now) && jiffies.tells_all(boot));
        let later = boot + 60 * day;
        assert_eq!([30, 50].map(|days| ago(days, later)), [30, 0]);
        assert!(!jiffies.tells_all(later));
    }
}

//! Histograms of dwell times: which bucket a duration falls into, and where the kernel side counts.
//!
//! Buckets are log-linear, as in HdrHistogram: each power of two is cut into equal parts, so a
//! bucket is never wider than a fixed share of the values in it. Both sides use the same arithmetic,
//! so what the kernel side counts, user space can name.

use crate::wire;

/// How finely powers of two are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Each power of two has `1 << bits` buckets.
    bits: u32,
}

/// The kernel side's: 32 buckets for each power of two. The middle of a bucket is at most 1/64
/// (1.6 %) away from any value in it.
pub const KERNEL: Layout = Layout { bits: 5 };

/// For single values: three significant digits, as HdrHistogram has them. The middle of a bucket is
/// at most 1/2048 (0.05 %) away.
pub const FINE: Layout = Layout { bits: 10 };

impl Layout {
    /// The bucket of a duration of `ns`: 0 to [`Self::count`] − 1, growing with `ns`.
    #[inline(always)]
    #[must_use]
    pub const fn index(self, ns: u64) -> u64 {
        // Below one power of two that has all its parts, each value has a bucket of its own.
        let shift = (63 - self.bits - (ns | 1 << self.bits).leading_zeros()) as u64;
        (shift << self.bits) + (ns >> shift)
    }

    /// How many buckets there are: they cover everything that 64 bits hold, 584 years.
    #[must_use]
    pub const fn count(self) -> u64 {
        self.index(u64::MAX) + 1
    }

    /// The least value in a bucket, ns; of an index that is none, that of the last bucket.
    #[must_use]
    pub const fn low(self, index: u64) -> u64 {
        let last = self.index(u64::MAX);
        let index = if index < last { index } else { last };
        let shift = (index >> self.bits).saturating_sub(1);
        (index - (shift << self.bits)) << shift
    }

    /// The greatest value in a bucket, ns.
    #[must_use]
    pub const fn high(self, index: u64) -> u64 {
        if index + 1 >= self.count() { u64::MAX } else { self.low(index + 1) - 1 }
    }

    /// The value that stands for all in a bucket: its middle.
    #[must_use]
    pub const fn middle(self, index: u64) -> u64 {
        let low = self.low(index);
        low + (self.high(index) - low) / 2
    }

    /// How far the middle of a bucket can be from a value in it, as a share of the value.
    #[must_use]
    pub fn error(self) -> f64 {
        0.5 / f64::from(1_u32 << self.bits)
    }
}

/// Buckets of [`KERNEL`].
const BUCKETS: u64 = KERNEL.count();
/// Slot of dwells whose length is not known.
pub const UNKNOWN: u64 = BUCKETS;
/// Slot of dwells that lasted at least as long as the bucket says that counts them too.
pub const AT_LEAST: u64 = BUCKETS + 1;
/// Slot of dwells that lasted at most as long as the bucket says that counts them too.
pub const AT_MOST: u64 = BUCKETS + 2;
/// How many slots the histogram of one state has.
pub const SLOTS: usize = BUCKETS as usize + 3;
/// How many states there can be, by the kernel's numbers.
pub const STATES: u32 = 13;

/// The histogram of one state on one CPU: counts by slot, the buckets of [`KERNEL`] first.
pub type StateHistogram = [u64; SLOTS];

// A value of a per-CPU map has to be smaller.
const _: () = assert!(size_of::<StateHistogram>() < 32 << 10);

/// What is told apart besides the state.
pub mod by {
    /// Nothing.
    pub const STATE: u8 = 0;
    /// Name of the opener.
    pub const COMM: u8 = 1;
    /// Local port; sockets that called connect() together, see [`super::OUTGOING`].
    pub const LOCAL_PORT: u8 = 2;
    /// Remote address.
    pub const REMOTE: u8 = 3;
}

/// [`KeyedSlot::family`] by local port, of sockets that called connect(): their ports are the
/// kernel's choice, say nothing and would fill the map.
pub const OUTGOING: u16 = 1;

/// Key of the map of counts, where more than the state is told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct KeyedSlot {
    /// By [`by`]: the name, padded with NULs; the port, two bytes in the CPU's order; the address as
    /// in [`crate::memory::Tuple`]. Zeros where it is not known.
    pub key: [u8; 16],
    /// Address family of an address, 0 where it is not known; of a port, [`OUTGOING`] or 0.
    pub family: u16,
    /// Slot.
    pub slot: u16,
    /// TCP state.
    pub state: u8,
    /// Padding.
    pub pad: [u8; 3],
}
wire!(KeyedSlot, 24);

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: [Layout; 2] = [KERNEL, FINE];
    const DAY: u64 = 86_400_000_000_000;

    #[test]
    fn buckets_follow_one_another_without_gap_or_overlap() {
        for layout in BOTH {
            assert_eq!(layout.low(0), 0);
            for index in 0..layout.count() {
                let (low, high) = (layout.low(index), layout.high(index));
                assert!(low <= high, "{layout:?} {index}");
                assert_eq!((layout.index(low), layout.index(high)), (index, index), "{layout:?}");
                if index > 0 {
                    assert_eq!(low, layout.high(index - 1) + 1, "{layout:?} {index}");
                }
            }
            assert_eq!(layout.high(layout.count() - 1), u64::MAX);
        }
    }

    #[test]
    fn each_power_of_two_begins_a_bucket() {
        for layout in BOTH {
            for exponent in 0..64 {
                let power = 1_u64 << exponent;
                assert_eq!(layout.low(layout.index(power)), power);
                assert_eq!(layout.index(power - 1) + 1, layout.index(power));
            }
        }
    }

    /// Over the whole range, at both ends of each bucket, where the error is greatest.
    #[test]
    fn the_middle_is_within_the_promised_error() {
        for (layout, promised) in [(KERNEL, 0.015_7), (FINE, 0.000_5)] {
            assert!(layout.error() < promised);
            for index in 1..layout.count() {
                let middle = layout.middle(index) as f64;
                for value in [layout.low(index), layout.high(index)] {
                    let error = (middle - value as f64).abs() / value as f64;
                    assert!(error <= layout.error(), "{layout:?} {value}: {error}");
                }
            }
        }
    }

    #[test]
    fn short_times_are_exact_and_long_ones_have_a_place() {
        for ns in 0..64 {
            assert_eq!((KERNEL.low(ns), KERNEL.high(ns), KERNEL.middle(ns)), (ns, ns, ns));
        }
        let long = KERNEL.index(100 * DAY);
        assert!(long < KERNEL.count());
        let middle = KERNEL.middle(long);
        assert!(middle.abs_diff(100 * DAY) * 64 <= 100 * DAY, "{middle}");
    }

    /// Values that share no pattern with the layout.
    #[test]
    fn any_value_lies_within_its_bucket() {
        let mut value = 1_u64;
        for _ in 0..100_000 {
            value = value.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
            let value = value >> (value & 63);
            for layout in BOTH {
                let index = layout.index(value);
                assert!((layout.low(index)..=layout.high(index)).contains(&value), "{value}");
            }
        }
    }

    #[test]
    fn an_index_that_is_none_is_taken_for_the_last() {
        assert_eq!(KERNEL.low(u64::from(u32::MAX)), KERNEL.low(KERNEL.count() - 1));
        assert_eq!(KERNEL.high(u64::from(u32::MAX)), u64::MAX);
    }

    #[test]
    fn every_slot_fits_into_a_key() {
        assert!(u16::try_from(AT_MOST).is_ok());
        assert_eq!(AT_MOST + 1, SLOTS as u64);
    }
}

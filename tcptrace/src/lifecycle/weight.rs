//! How much a leaked socket counts in a picture.

use super::report::Leak;

/// How much a leaked socket counts in a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weight {
    /// Each is one.
    #[default]
    Sockets,
    /// Each counts the seconds that it has certainly leaked.
    Seconds,
}

impl Weight {
    /// What `leak` counts. `None`: its age is not known, so it counts nothing.
    #[must_use]
    pub fn of(self, leak: &Leak) -> Option<u64> {
        match self {
            Self::Sockets => Some(1),
            Self::Seconds => {
                let seconds = leak.age.at_least()? / 1_000_000_000;
                (seconds > 0).then_some(seconds)
            }
        }
    }

    /// The unit, for people.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Sockets => "sockets",
            Self::Seconds => "socket-seconds",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::age::Age;
    use crate::lifecycle::leak::tests::sample_leak;

    #[test]
    fn what_is_not_known_counts_nothing() {
        let of = |age| Weight::Seconds.of(&Leak { age, ..sample_leak() });
        assert_eq!(of(Age::Exact(63_900_000_000)), Some(63));
        assert_eq!(of(Age::Between { min: 2_000_000_000, max: None }), Some(2));
        assert_eq!(of(Age::Unknown), None);
        assert_eq!(of(Age::AtMost(5_000_000_000)), None);
        assert_eq!(Weight::Sockets.of(&sample_leak()), Some(1));
    }
}

//! How long a socket has been as it is: exactly, or within bounds.

/// When something began, ns, monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Since {
    /// Then.
    Exact(u64),
    /// Then or before.
    AtLatest(u64),
    /// Nobody saw it.
    Unknown,
}

impl Since {
    /// How long ago that is at `now_ns`.
    #[must_use]
    pub fn age(self, now_ns: u64) -> Age {
        match self {
            Self::Exact(since) => Age::Exact(now_ns.saturating_sub(since)),
            Self::AtLatest(since) => Age::Between { min: now_ns.saturating_sub(since), max: None },
            Self::Unknown => Age::Unknown,
        }
    }
}

/// An age in ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Its beginning was traced.
    Exact(u64),
    /// Its beginning was not traced; it is at least `min` and at most `max` old.
    Between {
        /// Lower bound, ns.
        min: u64,
        /// Upper bound, ns, where there is one.
        max: Option<u64>,
    },
    /// Its beginning was not traced and nothing bounds it from below.
    AtMost(u64),
    /// Nothing is known.
    Unknown,
}

impl Age {
    /// What the age certainly is, ns; `None` where nothing is known.
    #[must_use]
    pub fn at_least(self) -> Option<u64> {
        match self {
            Self::Exact(age) | Self::Between { min: age, .. } => Some(age),
            Self::AtMost(_) | Self::Unknown => None,
        }
    }

    /// Whether the beginning was traced.
    #[must_use]
    pub fn is_exact(self) -> bool {
        matches!(self, Self::Exact(_))
    }

    /// Upper bound, ns, of an age that is not exact.
    #[must_use]
    pub fn at_most(self) -> Option<u64> {
        match self {
            Self::Between { max, .. } => max,
            Self::AtMost(max) => Some(max),
            Self::Exact(_) | Self::Unknown => None,
        }
    }

    /// The same where its upper bound is not to be relied on.
    #[must_use]
    pub fn without_upper_bound(self) -> Self {
        match self {
            Self::Between { min, .. } => Self::Between { min, max: None },
            Self::AtMost(_) => Self::Unknown,
            known => known,
        }
    }
}

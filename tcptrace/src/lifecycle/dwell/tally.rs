//! Counts of durations by bucket.

use std::collections::BTreeMap;

use tcptrace_common::histogram::Layout;

/// Counts of durations by bucket, those that were not known apart. Only buckets that hold something
/// take room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    layout: Layout,
    buckets: BTreeMap<u64, u64>,
    /// Durations that are not known: in no bucket.
    pub unknown: u64,
    /// Of those in buckets, how many are lower bounds.
    pub at_least: u64,
    /// Of those in buckets, how many are upper bounds.
    pub at_most: u64,
}

/// A bucket that holds something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The value that stands for all in it, ns.
    pub middle_ns: u64,
    /// The greatest value in it, ns.
    pub high_ns: u64,
    /// How many durations.
    pub count: u64,
}

impl Tally {
    /// Nothing yet.
    #[must_use]
    pub fn new(layout: Layout) -> Self {
        Self { layout, buckets: BTreeMap::new(), unknown: 0, at_least: 0, at_most: 0 }
    }

    /// Counts `count` durations in a bucket of the layout.
    pub fn add_bucket(&mut self, index: u64, count: u64) {
        if count > 0 {
            *self.buckets.entry(index).or_default() += count;
        }
    }

    /// Counts one duration of `ns`.
    pub fn add(&mut self, ns: u64) {
        self.add_bucket(self.layout.index(ns), 1);
    }

    /// How many durations are in buckets.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// Whether nothing was counted, not even an unknown duration.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty() && self.unknown == 0
    }

    /// The buckets that hold something, shortest first.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> {
        self.buckets.iter().map(|(index, count)| Bucket {
            middle_ns: self.layout.middle(*index),
            high_ns: self.layout.high(*index),
            count: *count,
        })
    }

    /// What was counted since `earlier`, an older state of the same tally.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut delta = Self::new(self.layout);
        for (index, count) in &self.buckets {
            let before = earlier.buckets.get(index).copied().unwrap_or_default();
            delta.add_bucket(*index, count.saturating_sub(before));
        }
        delta.unknown = self.unknown.saturating_sub(earlier.unknown);
        delta.at_least = self.at_least.saturating_sub(earlier.at_least);
        delta.at_most = self.at_most.saturating_sub(earlier.at_most);
        delta
    }
}

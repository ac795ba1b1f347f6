//! All dwells of a trace: a tally for each state and key.

use std::collections::BTreeMap;

use tcptrace_common::histogram::{AT_LEAST, AT_MOST, FINE, KERNEL, Layout, UNKNOWN};
use tcptrace_common::record::bound;

use super::key::{By, Key};
use super::tally::Tally;
use crate::lifecycle::event::Transition;
use crate::lifecycle::socket::State;

/// Dwells by key and state. Counts only grow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dwells {
    layout: Layout,
    tallies: BTreeMap<(Key, State), Tally>,
}

impl Dwells {
    /// For counts of the kernel side.
    #[must_use]
    pub fn counted() -> Self {
        Self { layout: KERNEL, tallies: BTreeMap::new() }
    }

    /// For dwells that come one by one.
    #[must_use]
    pub fn streamed() -> Self {
        Self { layout: FINE, tallies: BTreeMap::new() }
    }

    /// The layout of its tallies.
    #[must_use]
    pub const fn layout(&self) -> Layout {
        self.layout
    }

    /// Takes up a count of the kernel side.
    pub fn add_slot(&mut self, key: Key, state: State, slot: u64, count: u64) {
        if count == 0 {
            return;
        }
        let tally = self.tally(key, state);
        match slot {
            UNKNOWN => tally.unknown += count,
            AT_LEAST => tally.at_least += count,
            AT_MOST => tally.at_most += count,
            bucket => tally.add_bucket(bucket, count),
        }
    }

    /// Takes up the dwell that a transition ended.
    pub fn add(&mut self, transition: &Transition, by: By) {
        let tally = self.tally(by.of_record(&transition.record), transition.from);
        let Some(ns) = transition.dwell_ns else {
            tally.unknown += 1;
            return;
        };
        tally.add(ns);
        match transition.record.bound {
            bound::AT_LEAST => tally.at_least += 1,
            bound::AT_MOST => tally.at_most += 1,
            _ => {}
        }
    }

    /// What was counted since `earlier`, an older state of the same dwells.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let delta = |(at, tally): (&(Key, State), &Tally)| {
            let delta = match earlier.tallies.get(at) {
                Some(before) => tally.since(before),
                None => tally.clone(),
            };
            (!delta.is_empty()).then(|| (at.clone(), delta))
        };
        Self { layout: self.layout, tallies: self.tallies.iter().filter_map(delta).collect() }
    }

    /// Keeps the tallies whose key fits.
    pub fn retain(&mut self, mut fits: impl FnMut(&Key) -> bool) {
        self.tallies.retain(|(key, _), _| fits(key));
    }

    /// The tallies.
    #[must_use]
    pub fn into_tallies(self) -> BTreeMap<(Key, State), Tally> {
        self.tallies
    }

    fn tally(&mut self, key: Key, state: State) -> &mut Tally {
        self.tallies.entry((key, state)).or_insert_with(|| Tally::new(self.layout))
    }
}

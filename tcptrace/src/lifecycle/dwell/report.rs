//! What outputs get of histograms.

use std::borrow::Cow;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::dwells::Dwells;
use super::key::{By, Key};
use super::tally::Tally;
use crate::lifecycle::report::Degradation;
use crate::lifecycle::socket::State;

/// What a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What happened since the report before.
    Interval,
    /// All that happened since the trace began.
    Total,
}

impl Scope {
    /// Frozen token.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Interval => "interval",
            Self::Total => "total",
        }
    }
}

/// Histograms of one span of time.
#[derive(Clone, Debug, PartialEq)]
pub struct HistReport {
    /// When it was made, ns since 1970.
    pub made_at_ns: u64,
    /// What it is about.
    pub scope: Scope,
    /// How long a time it covers, ns.
    pub span_ns: u64,
    /// How long the trace has run, ns.
    pub traced_ns: u64,
    /// What is told apart.
    pub by: By,
    /// Whether each dwell was streamed, not counted in the kernel.
    pub exact: bool,
    /// How far off a duration can be, as a share of it.
    pub error: f64,
    /// One row for each key and state, those of a key together.
    pub rows: Vec<Row>,
    /// Whether sockets that are still in a state were looked for; else [`Row::still`] says nothing.
    pub census: bool,
    /// State transitions that the kernel side has seen since the trace began.
    pub events: u64,
    /// Dwells since the trace began that were counted without their key.
    pub without_key: u64,
    /// Reason and count of what was lost since the trace began.
    pub lost: Vec<(Cow<'static, str>, u64)>,
    /// What this host lacks.
    pub degradations: Vec<Degradation>,
    /// Kernel release.
    pub kernel: String,
}

/// Dwells in one state, of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Key.
    pub key: Key,
    /// State.
    pub state: State,
    /// Dwells that have ended.
    pub dwells: Option<Tally>,
    /// Ages of the sockets that are still in the state.
    pub still: Option<Tally>,
}

impl HistReport {
    /// Dwells of known length.
    #[must_use]
    pub fn known(&self) -> u64 {
        self.dwells().map(Tally::count).sum()
    }

    /// Dwells of unknown length.
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.dwells().map(|tally| tally.unknown).sum()
    }

    /// Sockets that are still in a state; `None` where they were not looked for.
    #[must_use]
    pub fn still(&self) -> Option<u64> {
        let stills = self.rows.iter().filter_map(|row| row.still.as_ref());
        self.census.then(|| stills.map(|tally| tally.count() + tally.unknown).sum())
    }

    /// Everything that was lost.
    #[must_use]
    pub fn lost_total(&self) -> u64 {
        self.lost.iter().map(|(_, count)| count).sum()
    }

    fn dwells(&self) -> impl Iterator<Item = &Tally> {
        self.rows.iter().filter_map(|row| row.dwells.as_ref())
    }
}

/// Dwells that have ended and ages of sockets that are still in a state, joined: keys with most of
/// them first, those without a key last, states in the order of a socket's life.
#[must_use]
pub fn rows(dwells: Dwells, stills: BTreeMap<(Key, State), Tally>) -> Vec<Row> {
    let mut joined: BTreeMap<(Key, State), Row> = BTreeMap::new();
    let empty = |(key, state): (Key, State)| Row { key, state, dwells: None, still: None };
    for (at, tally) in dwells.into_tallies() {
        joined.entry(at.clone()).or_insert_with(|| empty(at)).dwells = Some(tally);
    }
    for (at, tally) in stills {
        joined.entry(at.clone()).or_insert_with(|| empty(at)).still = Some(tally);
    }
    let mut sizes: BTreeMap<Key, u64> = BTreeMap::new();
    for row in joined.values() {
        *sizes.entry(row.key.clone()).or_default() += row.size();
    }
    let mut rows: Vec<Row> = joined.into_values().collect();
    let place = |row: &Row| {
        let size = sizes.get(&row.key).copied().unwrap_or_default();
        (row.key == Key::Other, Reverse(size), row.key.clone(), row.state.life_order())
    };
    rows.sort_by_cached_key(place);
    rows
}

impl Row {
    fn size(&self) -> u64 {
        let tallies = self.dwells.iter().chain(&self.still);
        tallies.map(|tally| tally.count() + tally.unknown).sum()
    }
}

//! Counting.

use std::collections::HashMap;

use super::key::{By, Counts, Key};
use super::report::{KeyCounts, KeyName};
use super::{Counted, Holders};
use crate::lifecycle::socket::State;

/// Sockets counted so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    by: By,
    counts: HashMap<Key, Counts>,
    total: Counts,
    shared: u64,
}

impl Tally {
    /// None yet.
    #[must_use]
    pub fn new(by: By) -> Self {
        Self { by, ..Self::default() }
    }

    /// Counts a socket. By process it counts for each that holds it, and in the total once.
    pub fn add(&mut self, socket: &Counted, holders: &Holders) {
        self.total.add(socket.state);
        match self.by {
            By::State => {}
            By::Remote => self.add_to(Key::Remote(socket.ends.remote.addr), socket.state),
            By::LocalPort => self.add_to(Key::LocalPort(socket.ends.local.port), socket.state),
            By::Netns => self.add_to(Key::Netns(socket.netns), socket.state),
            By::Process => self.add_to_each(socket, holders),
        }
    }

    fn add_to_each(&mut self, socket: &Counted, holders: &Holders) {
        let mut count = 0;
        for place in holders.of(socket) {
            self.add_to(Key::Process(Some(place)), socket.state);
            count += 1;
        }
        match count {
            0 => self.add_to(Key::Process(None), socket.state),
            1 => {}
            _ => self.shared += 1,
        }
    }

    fn add_to(&mut self, key: Key, state: State) {
        self.counts.entry(key).or_default().add(state);
    }

    /// All sockets, each once.
    #[must_use]
    pub fn total(&self) -> Counts {
        self.total
    }

    /// Sockets that counted for several processes.
    #[must_use]
    pub fn shared(&self) -> u64 {
        self.shared
    }

    /// The counts of each key, most first. By state there is one key.
    #[must_use]
    pub fn keys(&self, holders: &Holders) -> Vec<KeyCounts> {
        if self.by == By::State {
            return vec![KeyCounts { key: KeyName::All, counts: self.total }];
        }
        let named = self
            .counts
            .iter()
            .map(|(key, counts)| KeyCounts { key: KeyName::of(*key, holders), counts: *counts });
        let mut keys: Vec<KeyCounts> = named.collect();
        keys.sort_by(|a, b| {
            b.counts.total().cmp(&a.counts.total()).then_with(|| a.key.cmp(&b.key))
        });
        keys
    }
}

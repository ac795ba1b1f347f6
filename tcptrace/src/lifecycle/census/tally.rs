//! Counting.

use std::collections::HashMap;
use std::net::IpAddr;

use super::report::{KeyCounts, KeyName};
use super::{Counted, Holders, STATES};
use crate::lifecycle::socket::State;

/// What sockets are counted by, besides their state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Nothing.
    #[default]
    State,
    /// Remote address.
    Remote,
    /// Local port.
    LocalPort,
    /// Process that holds them.
    Process,
    /// Network namespace.
    Netns,
}

impl By {
    /// Frozen token.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Remote => "remote",
            Self::LocalPort => "local-port",
            Self::Process => "process",
            Self::Netns => "netns",
        }
    }
}

/// How many sockets are in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u32; State::ALL.len()]);

impl Counts {
    /// Those in one state.
    #[must_use]
    pub fn get(&self, state: State) -> u32 {
        self.0[state as usize]
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().map(|count| u64::from(*count)).sum()
    }

    /// One more.
    pub fn add(&mut self, state: State) {
        let count = &mut self.0[state as usize];
        *count = count.saturating_add(1);
    }

    /// Those of `other` too.
    pub fn merge(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(other.0) {
            *own = own.saturating_add(other);
        }
    }

    /// The states that a socket is in, in the order of life.
    pub fn states(&self) -> impl Iterator<Item = State> {
        STATES.into_iter().filter(|state| self.get(*state) > 0)
    }
}

/// What one socket counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// All sockets have it.
    All,
    /// Remote address; `None`: a listener.
    Remote(Option<IpAddr>),
    /// Local port; `None`: the kernel has forgotten it.
    LocalPort(Option<u16>),
    /// Place of a process in [`Holders`]; `None`: no process holds it.
    Process(Option<u32>),
    /// Inode number of the network namespace.
    Netns(u32),
}

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

//! What sockets are counted by, and the counts of one key.

use std::net::IpAddr;

use super::states;
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
        states().filter(|state| self.get(*state) > 0)
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
    /// Place of a process in [`super::Holders`]; `None`: no process holds it.
    Process(Option<u32>),
    /// Inode number of the network namespace.
    Netns(u32),
}

//! A census: every TCP socket of the host, counted by its state and by a key.

mod holders;
mod key;
mod report;
mod rows;
mod tally;

use tcptrace_common::census::{CensusMemory, CensusRow, census_flag};
use tcptrace_common::memory::{Task, memory_flag};
use tcptrace_common::tcp::state;

use super::age::{Age, Since};
use super::socket::{Endpoint, Endpoints, Role, State};

pub use holders::{Holders, Process};
pub use key::{By, Counts, Key};
pub use report::{CensusReport, KeyCounts, KeyName};
pub use rows::{Decoder, Row};
pub use tally::Tally;

/// The states that are counted, in the order of a connection's life. `SYN_RECV` stands for requests
/// too, and `CLOSE` for dead sockets alone.
pub fn states() -> impl Iterator<Item = State> {
    State::LIFE.into_iter().filter(|state| *state != State::NewSynRecv)
}

/// A socket that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Its state; never `NEW_SYN_RECV`, and `CLOSE` for a dead one.
    pub state: State,
    /// Where; a listener has no remote end.
    pub ends: Endpoints,
    /// Inode number of the network namespace.
    pub netns: u32,
    row: CensusRow,
    memory: Option<CensusMemory>,
}

impl Counted {
    /// What the kernel side said. `None`: a state that this program does not know.
    #[must_use]
    pub fn new(row: CensusRow, memory: Option<CensusMemory>) -> Option<Self> {
        let state = State::from_kernel(row.state)?;
        let mut ends = Endpoints::from_tuple(&row.tuple);
        if state == State::Listen {
            ends.remote = Endpoint { addr: None, port: None };
        }
        Some(Self { state, ends, netns: row.netns, row, memory })
    }

    /// Socket cookie; 0: none was made yet.
    #[must_use]
    pub fn cookie(&self) -> u64 {
        self.row.cookie
    }

    /// Inode number; 0: no `struct socket` is attached.
    #[must_use]
    pub fn inode(&self) -> u64 {
        self.row.inode
    }

    /// Whether the connection is over and a descriptor is still open.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.row.state == state::CLOSE
    }

    /// Whether a process may hold it: a `struct socket` is attached.
    #[must_use]
    pub fn may_be_held(&self) -> bool {
        self.has(census_flag::HAS_SOCKET)
    }

    /// Whether it belongs to a connection of MPTCP. A listener does not: it takes connections of
    /// plain TCP too.
    #[must_use]
    pub fn is_of_mptcp(&self) -> bool {
        self.has(census_flag::SUBFLOW | census_flag::MPTCP) && self.state != State::Listen
    }

    /// Whether it is MPTCP's own socket, which is in no table of TCP.
    #[must_use]
    pub fn is_mptcp_itself(&self) -> bool {
        self.has(census_flag::MPTCP)
    }

    /// Who connected.
    #[must_use]
    pub fn role(&self) -> Role {
        self.memory.map_or(Role::Unknown, |memory| Role::from_kernel(memory.role))
    }

    /// Who opened it, where that was traced.
    #[must_use]
    pub fn opener(&self) -> Option<Task> {
        self.memory.map(|memory| memory.opener).filter(|opener| opener.pid != 0)
    }

    /// How long it has been in this state: exact where its entry was traced and nothing was missed
    /// since, at least so long where the entry was seen late.
    #[must_use]
    pub fn age(&self) -> Age {
        self.memory.map_or(Age::Unknown, |memory| self.since().age(memory.now_ns))
    }

    /// When it entered this state, as far as is known: see [`Self::age`].
    #[must_use]
    pub fn since(&self) -> Since {
        let memory =
            self.memory.filter(|memory| memory.since_ns != 0 && memory.state == self.row.state);
        memory.map_or(Since::Unknown, |memory| match memory.flags & memory_flag::SINCE_LATEST {
            0 => Since::Exact(memory.since_ns),
            _ => Since::AtLatest(memory.since_ns),
        })
    }

    /// Whether it is a half-open connection, of whose end no transition tells.
    #[must_use]
    pub fn is_request(&self) -> bool {
        self.has(census_flag::MINI_SOCKET) && self.state == State::SynRecv
    }

    /// The kernel side's words, as [`Self::new`] takes them.
    #[must_use]
    pub fn words(&self) -> (&CensusRow, Option<&CensusMemory>) {
        (&self.row, self.memory.as_ref())
    }

    fn has(&self, flags: u8) -> bool {
        self.row.flags & flags != 0
    }
}

#[cfg(test)]
mod tests;

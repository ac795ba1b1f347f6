//! Sockets that are still in a state when a report is made: a histogram of finished dwells does not
//! show them, and a socket that is stuck never finishes.

use std::collections::BTreeMap;

use tcptrace_common::histogram::FINE;

use super::key::{By, Key};
use super::tally::Tally;
use crate::lifecycle::age::Age;
use crate::lifecycle::socket::{Endpoints, Role, State};

/// A socket as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Still {
    /// Its cookie; 0: none was made yet.
    pub cookie: u64,
    /// State it is in.
    pub state: State,
    /// How long it has been.
    pub age: Age,
    /// Whether it called connect(), as far as is known.
    pub role: Role,
    /// Its endpoints.
    pub ends: Endpoints,
    /// Inode number of its network namespace.
    pub netns: u32,
    /// The process that opened it, by id.
    pub pid: Option<u32>,
    /// The name of that process. Not escaped.
    pub comm: Option<String>,
}

impl Still {
    fn key(&self, by: By) -> Key {
        match by {
            By::State => Key::All,
            By::Comm => Key::Comm(self.comm.clone()),
            By::LocalPort if self.role == Role::Active => Key::Outgoing,
            By::LocalPort => Key::LocalPort(self.ends.local.port),
            By::Remote => Key::Remote(self.ends.remote.addr.filter(|addr| !addr.is_unspecified())),
        }
    }
}

/// The ages of sockets by key and state.
pub type Ages = BTreeMap<(Key, State), Tally>;

/// Takes up the age of one socket more.
pub fn note(ages: &mut Ages, socket: &Still, by: By) {
    let at = (socket.key(by), socket.state);
    add(ages.entry(at).or_insert_with(|| Tally::new(FINE)), socket.age);
}

/// The ages of some sockets.
#[cfg(test)]
pub fn count<'a>(sockets: impl Iterator<Item = &'a Still>, by: By) -> Ages {
    let mut ages = Ages::new();
    sockets.for_each(|socket| note(&mut ages, socket, by));
    ages
}

/// A lower bound of 0 says nothing.
fn add(tally: &mut Tally, age: Age) {
    match age {
        Age::Exact(ns) => tally.add(ns),
        Age::Between { min: 0, max: Some(max) } | Age::AtMost(max) => {
            tally.add(max);
            tally.at_most += 1;
        }
        Age::Between { min: 0, max: None } | Age::Unknown => tally.unknown += 1,
        Age::Between { min, .. } => {
            tally.add(min);
            tally.at_least += 1;
        }
    }
}

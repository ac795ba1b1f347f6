//! Which openers the user wants, asked once for each, and sockets that were there before.
//!
//! Cgroup and container are looked up in `/proc` when the first event of an opener is
//! read, some ms after it happened: of a process that is gone by then they are not known, and it is
//! not wanted.

use std::collections::{HashMap, HashSet};

use tcptrace_common::memory::Task;

use crate::lifecycle::filter::Filter;
use crate::lifecycle::report::Party;
use crate::lifecycle::socket::State;
use crate::lifecycle::text::from_padded;
use crate::process::place::{Belonging, Places};

/// Openers that are remembered; then they are asked for anew.
const MOST: usize = 1 << 16;

/// A process under one name: exec() gives it another, and then other filters may match.
type Identity = (u32, u64, [u8; 16]);

/// Openers, and whether the user wants to see their sockets.
pub struct Openers {
    /// Sockets that a wanted process held when the trace began, by cookie.
    held: HashSet<u64>,
    places: Places,
    known: HashMap<Identity, bool>,
}

impl Openers {
    /// None known yet. `held`: sockets that a wanted process held when the trace began, by cookie.
    #[must_use]
    pub fn new(held: HashSet<u64>) -> Self {
        Self { held, places: Places::new(), known: HashMap::new() }
    }

    /// Whether the user wants to see a socket of this opener. Where that is not known, a socket is
    /// wanted if a wanted process held it.
    pub fn want(
        &mut self,
        filter: &Filter<State>,
        opener: Option<&Task>,
        cookie: Option<u64>,
    ) -> bool {
        let Some(task) = opener else {
            return cookie.is_some_and(|cookie| self.held.contains(&cookie));
        };
        let identity = (task.pid, task.start_ns, task.comm);
        if let Some(wanted) = self.known.get(&identity) {
            return *wanted;
        }
        if self.known.len() >= MOST {
            self.known.clear();
        }
        let wanted = self.ask(filter, task);
        self.known.insert(identity, wanted);
        wanted
    }

    fn ask(&self, filter: &Filter<State>, task: &Task) -> bool {
        let belonging = match filter.needs_process_details() {
            true => self.places.of(task.pid, task.start_ns),
            false => Belonging::default(),
        };
        let party = Party {
            pid: task.pid,
            comm: from_padded(&task.comm),
            cgroup: belonging.cgroup,
            container: belonging.container,
            ..Party::default()
        };
        filter.matches_party(&party)
    }
}

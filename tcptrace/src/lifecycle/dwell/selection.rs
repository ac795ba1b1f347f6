//! Which dwells the user wants to see, and where that can be decided.

use std::collections::HashSet;

use super::census::Still;
use super::key::Key;
use crate::lifecycle::event::Transition;
use crate::lifecycle::filter::{Filter, any_or_empty};
use crate::lifecycle::socket::{Endpoints, State};
use crate::lifecycle::text::from_padded;

/// Conditions that all have to hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// The filter of all commands.
    pub filter: Filter<State>,
    /// Sockets that a process which is asked for held when the trace began, by cookie: nobody saw
    /// who had opened them.
    pub held: HashSet<u64>,
}

impl Selection {
    /// With nothing known of who holds what.
    #[must_use]
    pub fn new(filter: Filter<State>) -> Self {
        Self { filter, held: HashSet::new() }
    }

    /// Whether dwells in this state are wanted.
    #[must_use]
    pub fn keeps_state(&self, state: State) -> bool {
        any_or_empty(&self.filter.states, |own| *own == state)
    }

    /// The option, if any, about which the kernel side cannot tell: then each dwell has to be looked
    /// at. A count by name does not tell it either: of a socket that was there before the trace it
    /// knows no name, and whoever held it may have the one that is asked for.
    #[must_use]
    pub fn beyond_counts(&self) -> Option<&'static str> {
        (!self.filter.comms.is_empty()).then_some("--comm")
    }

    /// Whether dwells with this key are wanted, as far as a key tells. Those without a key are:
    /// some of them may be.
    #[must_use]
    pub fn keeps_key(&self, key: &Key) -> bool {
        match key {
            Key::All | Key::Other | Key::Outgoing | Key::Comm(_) => true,
            Key::LocalPort(port) => self.filter.matches_local_port(*port),
            Key::Remote(addr) => self.filter.matches_remote_addr(*addr),
        }
    }

    /// Whether the dwell that a transition ended is wanted.
    #[must_use]
    pub fn keeps(&self, transition: &Transition) -> bool {
        let record = &transition.record;
        let pid = (record.opener.pid != 0).then_some(record.opener.pid);
        let comm = Some(from_padded(&record.opener.comm)).filter(|comm| !comm.is_empty());
        self.keeps_state(transition.from)
            && self.filter.matches_place(&Endpoints::from_tuple(&record.tuple), record.netns)
            && self.keeps_opener(pid, comm.as_deref(), record.cookie)
    }

    /// Whether a socket that is still in a state is wanted.
    #[must_use]
    pub fn keeps_still(&self, socket: &Still) -> bool {
        self.keeps_state(socket.state)
            && self.filter.matches_place(&socket.ends, socket.netns)
            && self.keeps_opener(socket.pid, socket.comm.as_deref(), socket.cookie)
    }

    /// Whether sockets of this opener are wanted; where nobody saw it, whether this one is for who
    /// held it.
    fn keeps_opener(&self, pid: Option<u32>, comm: Option<&str>, cookie: u64) -> bool {
        match pid {
            Some(_) => self.filter.matches_pid(pid) && self.filter.matches_comm(comm),
            None => !self.filter.is_about_processes() || self.held.contains(&cookie),
        }
    }
}

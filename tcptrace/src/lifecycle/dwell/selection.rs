//! Which dwells the user wants to see, and where that can be decided.

use super::census::Still;
use super::key::{By, Key};
use crate::lifecycle::event::Transition;
use crate::lifecycle::filter::{Filter, any_or_empty};
use crate::lifecycle::socket::{Endpoints, State};
use crate::lifecycle::text::from_padded;

/// Conditions that all have to hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// The filter of all commands.
    pub filter: Filter<State>,
}

impl Selection {
    /// Whether dwells in this state are wanted.
    #[must_use]
    pub fn keeps_state(&self, state: State) -> bool {
        any_or_empty(&self.filter.states, |own| *own == state)
    }

    /// The option, if any, about which neither the kernel side nor its counts by key can tell: then
    /// each dwell has to be looked at.
    #[must_use]
    pub fn beyond_counts(&self, by: By) -> Option<&'static str> {
        (!self.filter.comms.is_empty() && by != By::Comm).then_some("--comm")
    }

    /// Whether dwells with this key are wanted, as far as a key tells. Those without a key are:
    /// some of them may be.
    #[must_use]
    pub fn keeps_key(&self, key: &Key) -> bool {
        match key {
            Key::All | Key::Other | Key::Outgoing => true,
            Key::Comm(comm) => self.filter.matches_comm(comm.as_deref()),
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
            && self.filter.matches_pid(pid)
            && self.filter.matches_comm(comm.as_deref())
    }

    /// Whether a socket that is still in a state is wanted.
    #[must_use]
    pub fn keeps_still(&self, socket: &Still) -> bool {
        self.keeps_state(socket.state)
            && self.filter.matches_place(&socket.ends, socket.netns)
            && self.filter.matches_pid(socket.pid)
            && self.filter.matches_comm(socket.comm.as_deref())
    }
}

//! What dwells are told apart by, besides their state.

use std::net::IpAddr;

use tcptrace_common::histogram::{KeyedSlot, OUTGOING, by};
use tcptrace_common::memory::{Tuple, role};
use tcptrace_common::record::TransitionRecord;

use crate::lifecycle::socket::Endpoints;
use crate::lifecycle::text::from_padded;

/// What is told apart besides the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// Nothing.
    #[default]
    State,
    /// Name of the process that opened the socket.
    Comm,
    /// Local port, of sockets that did not call connect(): the ports of those say nothing.
    LocalPort,
    /// Remote address.
    Remote,
}

/// A value of what is told apart; `None` in it: not known.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Nothing is told apart.
    All,
    /// Name of the opener. Not escaped.
    Comm(Option<String>),
    /// Local port.
    LocalPort(Option<u16>),
    /// Sockets that called connect(), instead of a local port.
    Outgoing,
    /// Remote address.
    Remote(Option<IpAddr>),
    /// Dwells whose key found no place in the kernel side's map.
    Other,
}

impl By {
    /// Frozen token.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::State => "state",
            Self::Comm => "comm",
            Self::LocalPort => "local-port",
            Self::Remote => "remote",
        }
    }

    /// The kernel side's number for it.
    #[must_use]
    pub const fn to_kernel(self) -> u8 {
        match self {
            Self::State => by::STATE,
            Self::Comm => by::COMM,
            Self::LocalPort => by::LOCAL_PORT,
            Self::Remote => by::REMOTE,
        }
    }

    /// The key of dwells that the kernel side counted by state alone: where keys were wanted, those
    /// for which there was no place.
    #[must_use]
    pub const fn without_key(self) -> Key {
        match self {
            Self::State => Key::All,
            _ => Key::Other,
        }
    }

    /// The key in the kernel side's map.
    #[must_use]
    pub fn of_slot(self, slot: &KeyedSlot) -> Key {
        let [first, second, ..] = slot.key;
        let tuple = Tuple {
            family: slot.family,
            remote_addr: slot.key,
            local_port: u16::from_ne_bytes([first, second]),
            ..Tuple::default()
        };
        self.key(&slot.key, slot.family == OUTGOING, &tuple)
    }

    /// The key of a transition.
    #[must_use]
    pub fn of_record(self, record: &TransitionRecord) -> Key {
        self.key(&record.opener.comm, record.role == role::ACTIVE, &record.tuple)
    }

    fn key(self, comm: &[u8], is_outgoing: bool, tuple: &Tuple) -> Key {
        match self {
            Self::State => Key::All,
            Self::Comm => Key::Comm(Some(from_padded(comm)).filter(|comm| !comm.is_empty())),
            Self::LocalPort if is_outgoing => Key::Outgoing,
            Self::LocalPort => Key::LocalPort(Some(tuple.local_port).filter(|port| *port != 0)),
            Self::Remote => Key::Remote(remote(tuple)),
        }
    }
}

/// A peer's address; a listener has none.
fn remote(tuple: &Tuple) -> Option<IpAddr> {
    Endpoints::from_tuple(tuple).remote.addr.filter(|addr| !addr.is_unspecified())
}

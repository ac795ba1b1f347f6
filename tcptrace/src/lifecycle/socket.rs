//! Words for a socket: state, endpoints, role.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tcptrace_common::memory::{Tuple, role};
use tcptrace_common::tcp::{AF_INET, AF_INET6, state};

/// A TCP state, in the kernel's spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the states of RFC 9293 as the kernel spells them")]
pub enum State {
    Established,
    SynSent,
    SynRecv,
    FinWait1,
    FinWait2,
    TimeWait,
    Close,
    CloseWait,
    LastAck,
    Listen,
    Closing,
    NewSynRecv,
}

impl State {
    /// All states, by the kernel's number, which begins with 1; in the order of the variants.
    pub const ALL: [(u8, Self, &'static str); 12] = [
        (state::ESTABLISHED, Self::Established, "ESTABLISHED"),
        (state::SYN_SENT, Self::SynSent, "SYN_SENT"),
        (state::SYN_RECV, Self::SynRecv, "SYN_RECV"),
        (state::FIN_WAIT1, Self::FinWait1, "FIN_WAIT1"),
        (state::FIN_WAIT2, Self::FinWait2, "FIN_WAIT2"),
        (state::TIME_WAIT, Self::TimeWait, "TIME_WAIT"),
        (state::CLOSE, Self::Close, "CLOSE"),
        (state::CLOSE_WAIT, Self::CloseWait, "CLOSE_WAIT"),
        (state::LAST_ACK, Self::LastAck, "LAST_ACK"),
        (state::LISTEN, Self::Listen, "LISTEN"),
        (state::CLOSING, Self::Closing, "CLOSING"),
        (state::NEW_SYN_RECV, Self::NewSynRecv, "NEW_SYN_RECV"),
    ];

    /// In the order in which a connection goes through them: this side closing first, then the other.
    pub const LIFE: [Self; 12] = [
        Self::Listen,
        Self::SynSent,
        Self::NewSynRecv,
        Self::SynRecv,
        Self::Established,
        Self::FinWait1,
        Self::FinWait2,
        Self::Closing,
        Self::TimeWait,
        Self::CloseWait,
        Self::LastAck,
        Self::Close,
    ];

    /// Its place in [`Self::LIFE`].
    #[must_use]
    pub fn life_order(self) -> usize {
        Self::LIFE.iter().position(|own| *own == self).unwrap_or(Self::LIFE.len())
    }

    /// Some states as the kernel side wants them: bit `1 << number` for each; none stands for all.
    #[must_use]
    pub fn bits(states: &[Self]) -> u64 {
        let wanted = |state: &Self| states.is_empty() || states.contains(state);
        let numbers = Self::ALL.iter().filter(|(_, state, _)| wanted(state));
        numbers.fold(0, |bits, (number, ..)| bits | 1 << number)
    }

    /// The state with the kernel's number `number`.
    #[must_use]
    pub fn from_kernel(number: u8) -> Option<Self> {
        let index = usize::from(number).checked_sub(1)?;
        Self::ALL.get(index).map(|(_, state, _)| *state)
    }

    /// The kernel's spelling.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].2
    }
}

/// How a socket came to its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// It called connect().
    Active,
    /// A listener's child.
    Passive,
    /// It is the listener itself.
    Listener,
    /// Not seen: opened before the trace.
    Unknown,
}

impl Role {
    /// The role as the kernel side remembered it.
    #[must_use]
    pub fn from_kernel(number: u8) -> Self {
        match number {
            role::ACTIVE => Self::Active,
            role::PASSIVE => Self::Passive,
            role::LISTENER => Self::Listener,
            _ => Self::Unknown,
        }
    }

    /// Frozen token.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::Listener => "listener",
            Self::Unknown => "unknown",
        }
    }
}

/// One end of a connection. `None`: the kernel no longer knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// Address; an IPv4-mapped IPv6 address is held as IPv4.
    pub addr: Option<IpAddr>,
    /// Port.
    pub port: Option<u16>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.addr {
            Some(IpAddr::V6(addr)) => write!(f, "[{addr}]")?,
            Some(IpAddr::V4(addr)) => write!(f, "{addr}")?,
            None => f.write_str("?")?,
        }
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => f.write_str(":?"),
        }
    }
}

/// Both ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoints {
    /// This side.
    pub local: Endpoint,
    /// The peer.
    pub remote: Endpoint,
}

impl Endpoints {
    /// Reads the kernel side's tuple. An address of an unknown family is unknown.
    #[must_use]
    pub fn from_tuple(tuple: &Tuple) -> Self {
        Self {
            local: Endpoint {
                addr: address(tuple.family, tuple.local_addr),
                port: known_port(tuple.local_port),
            },
            remote: Endpoint {
                addr: address(tuple.family, tuple.remote_addr),
                port: known_port(tuple.remote_port),
            },
        }
    }

    /// `self`, its unknown parts filled from `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let fill = |own: Endpoint, other: Endpoint| Endpoint {
            addr: own.addr.or(other.addr),
            port: own.port.or(other.port),
        };
        Self { local: fill(self.local, other.local), remote: fill(self.remote, other.remote) }
    }

    /// Frozen token of the address family: that of the addresses, so a mapped one is `ipv4`.
    #[must_use]
    pub fn family(&self) -> Option<&'static str> {
        self.remote.addr.or(self.local.addr).map(|addr| match addr {
            IpAddr::V4(_) => "ipv4",
            IpAddr::V6(_) => "ipv6",
        })
    }
}

fn known_port(port: u16) -> Option<u16> {
    (port != 0).then_some(port)
}

fn address(family: u16, bytes: [u8; 16]) -> Option<IpAddr> {
    let [a, b, c, d, ..] = bytes;
    match family {
        AF_INET => Some(IpAddr::V4(Ipv4Addr::new(a, b, c, d))),
        AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_stand_where_their_numbers_say() {
        for (index, (number, state, name)) in State::ALL.into_iter().enumerate() {
            assert_eq!((usize::from(number), state as usize), (index + 1, index));
            assert_eq!((State::from_kernel(number), state.name()), (Some(state), name));
        }
        assert_eq!((State::from_kernel(0), State::from_kernel(13)), (None, None));
    }
}

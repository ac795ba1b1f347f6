//! The state machine of a TCP socket as Linux has it: which transitions there are.
//!
//! After RFC 9293, figure 5, and what the kernel's own code does beyond it. TIME_WAIT is entered
//! and left by mini-sockets alone; NEW_SYN_RECV belongs to requests, which have no transitions.

use super::socket::State;

/// What is to be thought of a transition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// It happens in the lives of healthy connections, for this reason.
    Normal(&'static str),
    /// It happens in special cases alone: in this one.
    Special(&'static str),
    /// The kernel does not do that.
    Never,
}

impl Class {
    /// What the transition from one state to another is.
    #[must_use]
    pub const fn of(from: State, to: State) -> Self {
        match (from, to) {
            (State::Close, _) => opening(to),
            (State::SynSent | State::Listen | State::SynRecv, _) => handshake(from, to),
            (State::Established, _) => established(to),
            _ => closing(from, to),
        }
    }

    /// Whether the kernel does not do that.
    #[must_use]
    pub fn is_odd(self) -> bool {
        self == Self::Never
    }
}

const fn opening(to: State) -> Class {
    match to {
        State::SynSent => Class::Normal("connect()"),
        State::Listen => Class::Normal("listen()"),
        _ => Class::Never,
    }
}

const fn handshake(from: State, to: State) -> Class {
    match (from, to) {
        (State::SynSent, State::Established) => Class::Normal("the peer has accepted the SYN"),
        (State::SynSent, State::Close) => Class::Normal("refused, timed out, or given up"),
        (State::SynSent, State::SynRecv) => {
            Class::Special("simultaneous open: both sides have sent a SYN")
        }
        (State::Listen, State::SynRecv) => Class::Normal("a listener's child is born"),
        (State::Listen, State::Close) => Class::Normal("the listener is closed"),
        (State::SynRecv, State::Established) => Class::Normal("the handshake is complete"),
        (State::SynRecv, State::Close) => {
            Class::Special("reset, or its listener was closed, before the handshake was complete")
        }
        (State::SynRecv, State::FinWait1) => {
            Class::Special("closed before the handshake was complete: TCP Fast Open")
        }
        (State::SynRecv, State::CloseWait) => {
            Class::Special("the peer's FIN came before its last ACK: TCP Fast Open")
        }
        _ => Class::Never,
    }
}

const fn established(to: State) -> Class {
    match to {
        State::FinWait1 => Class::Normal("this side closes first"),
        State::CloseWait => Class::Normal("the peer closes first"),
        State::Close => Class::Normal("reset by either side, timed out, or destroyed"),
        _ => Class::Never,
    }
}

const fn closing(from: State, to: State) -> Class {
    match (from, to) {
        (State::FinWait1, State::FinWait2) => Class::Normal("the peer has acknowledged the FIN"),
        (State::FinWait1, State::Closing) => Class::Special("both sides closed at the same time"),
        (State::FinWait1, State::Close) => {
            Class::Special("reset, or the peer never acknowledged the FIN")
        }
        (State::FinWait2, State::TimeWait) => Class::Normal("the peer has closed too"),
        (State::FinWait2, State::Close) => {
            Class::Normal("a mini-socket takes over, or the peer did not close in time")
        }
        (State::Closing, State::TimeWait) => {
            Class::Special("both sides closed at the same time, and both know")
        }
        (State::Closing, State::Close) => {
            Class::Special("both sides closed at the same time; a mini-socket takes over")
        }
        (State::TimeWait, State::Close) => Class::Normal("old segments are gone by now"),
        (State::CloseWait, State::LastAck) => Class::Normal("this side closes too"),
        (State::CloseWait, State::Close) => Class::Normal("reset by either side, or destroyed"),
        (State::LastAck, State::Close) => Class::Normal("both sides have closed"),
        _ => Class::Never,
    }
}

#[cfg(test)]
mod tests;

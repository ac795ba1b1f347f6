//! How a connection ended, told from the transition into CLOSE.

use tcptrace_common::record::transition_flag;

use super::socket::{Role, State};

/// `errno` values (`include/uapi/asm-generic/errno.h`) that `sk_err` has at CLOSE.
mod errno {
    pub const EPIPE: i32 = 32;
    pub const ENETUNREACH: i32 = 101;
    pub const ECONNABORTED: i32 = 103;
    pub const ECONNRESET: i32 = 104;
    pub const ETIMEDOUT: i32 = 110;
    pub const ECONNREFUSED: i32 = 111;
    pub const EHOSTUNREACH: i32 = 113;
}

/// How a connection, or an attempt at one, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Both sides have closed, the peer first.
    PeerClose,
    /// This side closed first, or gave up before there was a connection.
    LocalClose,
    /// The peer sent a RST.
    PeerReset,
    /// The peer answered the SYN with a RST.
    Refused,
    /// The peer did not answer.
    Timeout,
    /// The network says that there is no way to the peer.
    Unreachable,
    /// Somebody destroyed the socket from outside: `ss -K`.
    Aborted,
    /// This side sent a RST: closed with unread data, or with `SO_LINGER` 0.
    LocalReset,
    /// It waited for accept() when its listener was closed.
    ListenerClosed,
    /// Another error; its number is in `sk_err`.
    Error,
}

/// What the classification rests on.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    /// State that is left.
    pub from: State,
    /// State that is entered.
    pub to: State,
    /// `sk_err`: an `errno`, 0 for none.
    pub error: i32,
    /// [`transition_flag`].
    pub flags: u8,
    /// Who opened the connection.
    pub role: Role,
    /// Whether a process is known to have opened it.
    pub has_opener: bool,
}

impl End {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::PeerClose,
        Self::LocalClose,
        Self::PeerReset,
        Self::Refused,
        Self::Timeout,
        Self::Unreachable,
        Self::Aborted,
        Self::LocalReset,
        Self::ListenerClosed,
        Self::Error,
    ];

    /// Frozen token.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::PeerClose => "peer-close",
            Self::LocalClose => "local-close",
            Self::PeerReset => "peer-reset",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Aborted => "aborted",
            Self::LocalReset => "local-reset",
            Self::ListenerClosed => "listener-closed",
            Self::Error => "error",
        }
    }

    /// How the transition ends the socket; `None` where it does not.
    #[must_use]
    pub fn of(what: &Circumstances) -> Option<Self> {
        match what {
            Circumstances { to, .. } if *to != State::Close => None,
            Circumstances { error: 0, .. } => Some(what.end_without_error()),
            _ => Some(what.end_with_error()),
        }
    }
}

impl Circumstances {
    fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// `tcp_reset()` sets EPIPE in CLOSE_WAIT, ECONNREFUSED in SYN_SENT, else ECONNRESET;
    /// `tcp_write_err()` a soft error such as EHOSTUNREACH, else ETIMEDOUT; `tcp_abort()`
    /// ECONNABORTED.
    fn end_with_error(&self) -> End {
        match (self.error, self.from) {
            (errno::ECONNRESET, _) | (errno::EPIPE, State::CloseWait) => End::PeerReset,
            (errno::ECONNREFUSED, _) => End::Refused,
            (errno::ETIMEDOUT, _) => End::Timeout,
            (errno::EHOSTUNREACH | errno::ENETUNREACH, _) => End::Unreachable,
            (errno::ECONNABORTED, _) => End::Aborted,
            _ => End::Error,
        }
    }

    fn end_without_error(&self) -> End {
        let is_mini = self.has(transition_flag::MINI_SOCKET);
        match self.from {
            State::LastAck => End::PeerClose,
            State::FinWait2 if is_mini && self.has(transition_flag::EXPIRED) => End::Timeout,
            State::FinWait2 | State::Closing | State::TimeWait => End::LocalClose,
            State::Listen | State::SynSent | State::Close => End::LocalClose,
            State::Established | State::CloseWait | State::SynRecv | State::NewSynRecv
                if self.is_queued() =>
            {
                End::ListenerClosed
            }
            State::Established
            | State::CloseWait
            | State::SynRecv
            | State::NewSynRecv
            | State::FinWait1 => End::LocalReset,
        }
    }

    /// Whether it is a listener's child that nobody has accepted: no `struct socket` was ever
    /// attached.
    fn is_queued(&self) -> bool {
        self.has(transition_flag::ORPHAN) && self.role == Role::Passive && !self.has_opener
    }
}

#[cfg(test)]
mod tests;

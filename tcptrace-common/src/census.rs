//! Rows of a census: just enough of each TCP socket to count it.
//!
//! They are what the programs of `iters/census.rs` write, a quarter of the size of a
//! [`crate::row::SocketRow`] with its memory, because a host may have a million sockets and all of
//! them are counted.

use crate::memory::{Task, Tuple};
use crate::wire;

/// Bits of [`CensusRow::flags`].
pub mod census_flag {
    /// A `struct socket` is attached: neither a mini-socket, nor waiting in an accept queue, nor
    /// closed by its last holder.
    pub const HAS_SOCKET: u8 = 1;
    /// A [`super::CensusMemory`] of this very socket follows.
    pub const REMEMBERED: u8 = 2;
    /// A TIME_WAIT or request mini-socket.
    pub const MINI_SOCKET: u8 = 4;
    /// A subflow of an MPTCP connection.
    pub const SUBFLOW: u8 = 8;
    /// MPTCP itself: a connection or listener whose TCP sockets are its subflows.
    pub const MPTCP: u8 = 16;
}

/// A TCP socket, full or mini.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CensusRow {
    /// Socket cookie; 0 for a mini-socket that has none yet.
    pub cookie: u64,
    /// Inode number; 0 without a `struct socket`.
    pub inode: u64,
    /// Endpoints as they are now.
    pub tuple: Tuple,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// TCP state: of a TIME_WAIT mini-socket its substate, of a request `SYN_RECV`.
    pub state: u8,
    /// [`census_flag`].
    pub flags: u8,
    /// Padding.
    pub pad: [u8; 2],
}
wire!(CensusRow, 64);

/// What is remembered of a socket that is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CensusMemory {
    /// Monotonic clock at this row, ns.
    pub now_ns: u64,
    /// When [`Self::state`] was entered, ns, same clock; 0: not known.
    pub since_ns: u64,
    /// Who opened it; its pid is 0 where that is not known.
    pub opener: Task,
    /// TCP state after the last transition seen.
    pub state: u8,
    /// [`crate::memory::role`].
    pub role: u8,
    /// [`crate::memory::memory_flag`].
    pub flags: u8,
    /// Padding.
    pub pad: [u8; 5],
}
wire!(CensusMemory, 56);

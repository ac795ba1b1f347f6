//! What the kernel side remembers of a socket while it lives.
//!
//! The kernel side keeps one [`SocketMemory`] for each TCP socket, keyed by the address of its
//! `struct sock`, from its first transition (or accept, or end-of-file) to `tcp_destroy_sock`.
//! Addresses are reused within microseconds, so a memory counts only where its cookie equals
//! that of the socket it is joined with.

use crate::wire;

/// For so many sockets there is room in the near part of the memory, which is a table of the kernel
/// side's own, before any goes to the far part, the map `SOCKETS`.
pub const NEAR_SOCKETS: u32 = 1 << 14;

/// How the socket came to its connection.
pub mod role {
    /// Born before the trace.
    pub const UNKNOWN: u8 = 0;
    /// connect().
    pub const ACTIVE: u8 = 1;
    /// Child of a listener.
    pub const PASSIVE: u8 = 2;
    /// The listener itself.
    pub const LISTENER: u8 = 3;
}

/// Bits of [`SocketMemory::flags`].
pub mod memory_flag {
    /// ESTABLISHED was seen.
    pub const ESTABLISHED: u8 = 1;
    /// CLOSE_WAIT was seen: the peer's FIN has come.
    pub const FIN_RECEIVED: u8 = 2;
    /// [`super::SocketMemory::since_ns`] may be later than the truth.
    pub const SINCE_LATEST: u8 = 4;
    /// Of a mini-socket: somebody is telling something of it, or its timer was cancelled, and it is not
    /// settled yet whether that was its end.
    pub const ENDING: u8 = 8;
    /// Of a mini-socket that is [`ENDING`]: another CPU has come to its end, or cancelled its timer once
    /// more.
    pub const AGAIN: u8 = 16;
}

/// A process and the thread that acted in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Task {
    /// Start of the process (its thread-group leader) on the boot clock, ns. With [`Self::pid`]
    /// the identity of a process.
    pub start_ns: u64,
    /// Process id (tgid); 0: no task is known.
    pub pid: u32,
    /// Thread id.
    pub tid: u32,
    /// Name of the thread-group leader, padded with NULs.
    pub comm: [u8; 16],
}
wire!(Task, 32);

impl Task {
    /// No task.
    pub const EMPTY: Self = Self { start_ns: 0, pid: 0, tid: 0, comm: [0; 16] };
}

/// Addresses and ports of a socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Tuple {
    /// Local address; IPv4 in the first four bytes.
    pub local_addr: [u8; 16],
    /// Remote address; IPv4 in the first four bytes.
    pub remote_addr: [u8; 16],
    /// `AF_INET` or `AF_INET6`; 0: not known.
    pub family: u16,
    /// Local port, host byte order; 0: not known (the kernel clears it at CLOSE).
    pub local_port: u16,
    /// Remote port, host byte order.
    pub remote_port: u16,
    /// Padding.
    pub pad: u16,
}
wire!(Tuple, 40);

impl Tuple {
    /// Nothing is known.
    pub const EMPTY: Self = Self {
        local_addr: [0; 16],
        remote_addr: [0; 16],
        family: 0,
        local_port: 0,
        remote_port: 0,
        pad: 0,
    };
}

/// What is remembered of one socket. Times are ns on the monotonic clock, 0: not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SocketMemory {
    /// Socket cookie; 0 for a child before ESTABLISHED, which may still carry its listener's.
    pub cookie: u64,
    /// When [`Self::state`] was entered.
    pub since_ns: u64,
    /// When it began to leak, if it does: CLOSE_WAIT was entered, or CLOSE from another state.
    pub leak_since_ns: u64,
    /// When connect(), listen() or accept() opened it.
    pub opened_ns: u64,
    /// When a read first delivered end-of-file.
    pub eof_ns: u64,
    /// For a listener: when accept() last succeeded on it, or up to 100 ms before.
    pub last_accept_ns: u64,
    /// Stack of the call that opened it, see [`crate::stack`].
    pub open_stack: u64,
    /// Stack of the read that first delivered end-of-file.
    pub eof_stack: u64,
    /// Who called connect(), listen() or accept().
    pub opener: Task,
    /// Whose read delivered end-of-file.
    pub eof_reader: Task,
    /// Endpoints as they were when last complete.
    pub tuple: Tuple,
    /// `write_seq` when the peer's FIN came.
    pub write_seq_at_fin: u32,
    /// `sk_err` at the transition to CLOSE. For a listener: `errno` of the last accept() that
    /// failed for want of something (descriptors, memory), 0 once one has succeeded since.
    pub end_error: i32,
    /// TCP state after the last transition seen.
    pub state: u8,
    /// [`role`].
    pub role: u8,
    /// [`memory_flag`].
    pub flags: u8,
    /// Padding.
    pub pad: u8,
    /// Inode number of the network namespace; 0: nobody has asked for it yet.
    pub netns: u32,
}
wire!(SocketMemory, 184);

impl SocketMemory {
    /// Nothing is known.
    pub const EMPTY: Self = Self {
        cookie: 0,
        since_ns: 0,
        leak_since_ns: 0,
        opened_ns: 0,
        eof_ns: 0,
        last_accept_ns: 0,
        open_stack: 0,
        eof_stack: 0,
        opener: Task::EMPTY,
        eof_reader: Task::EMPTY,
        tuple: Tuple::EMPTY,
        write_seq_at_fin: 0,
        end_error: 0,
        state: 0,
        role: 0,
        flags: 0,
        pad: 0,
        netns: 0,
    };
}

//! Rows of the iterators: what is so now.
//!
//! An iterator's output is a sequence of rows, each a [`RowHeader`] and a body of the length it
//! names. A [`SocketRow`] with [`row_flag::REMEMBERED`] is followed by its
//! [`crate::memory::SocketMemory`].

use crate::memory::{Task, Tuple};
use crate::wire;

/// [`RowHeader::kind`].
pub mod kind {
    /// [`super::SocketRow`]: a socket of one network namespace's TCP table.
    pub const SOCKET: u32 = 1;
    /// [`super::HolderRow`] then [`super::SocketRow`]: a descriptor of one task.
    pub const HOLDER: u32 = 2;
    /// [`super::NamespaceRow`]: a network namespace, or a way into one.
    pub const NAMESPACE: u32 = 3;
    /// [`crate::census::CensusRow`]: a socket of one network namespace's TCP table, or a dead one.
    pub const COUNTED: u32 = 4;
    /// [`super::HolderRow`] then [`crate::census::CensusRow`]: a descriptor of one task.
    pub const COUNTED_HOLDER: u32 = 5;
}

/// [`NamespaceRow::way`]: how the namespace came to notice.
pub mod namespace_way {
    /// It is in the kernel's list.
    pub const LISTED: u32 = 0;
    /// A descriptor of a socket in it.
    pub const SOCKET: u32 = 1;
    /// A descriptor of the namespace itself, whose type is not known.
    pub const FILE: u32 = 2;
}

/// Bits of [`SocketRow::flags`].
pub mod row_flag {
    /// A `struct socket` is attached: accepted, or connected by connect().
    pub const HAS_SOCKET: u8 = 1;
    /// A [`crate::memory::SocketMemory`] of this very socket follows.
    pub const REMEMBERED: u8 = 2;
    /// The peer's FIN has come (`SOCK_DONE`).
    pub const FIN_RECEIVED: u8 = 4;
    /// `SO_KEEPALIVE` is on.
    pub const KEEPALIVE: u8 = 8;
    /// A subflow of an MPTCP connection.
    pub const SUBFLOW: u8 = 16;
}

/// Start of each row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RowHeader {
    /// [`kind`].
    pub kind: u32,
    /// Length of what follows this header, bytes.
    pub length: u32,
}
wire!(RowHeader, 8);

/// A task's descriptor for a socket; the socket itself follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct HolderRow {
    /// The task that owns the descriptor table.
    pub task: Task,
    /// Descriptor number.
    pub fd: u32,
    /// Padding.
    pub pad: u32,
}
wire!(HolderRow, 40);

/// A network namespace. The kernel's list shows each with its [`Self::id`]; a descriptor shows a
/// way into one, and may turn out to stand for a namespace of another type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct NamespaceRow {
    /// Number by which the kernel opens it (`struct nsfs_file_handle`, since 6.18); 0: not known.
    pub id: u64,
    /// Inode number.
    pub netns: u32,
    /// [`namespace_way`].
    pub way: u32,
    /// Process that has the descriptor; 0: from the kernel's list.
    pub pid: u32,
    /// The descriptor.
    pub fd: u32,
}
wire!(NamespaceRow, 24);

/// A socket as the kernel has it. Sequence numbers and jiffies are raw; user space subtracts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SocketRow {
    /// Address of `struct sock`: joins the rows of one snapshot, never an identity beyond it.
    pub sk: u64,
    /// Socket cookie.
    pub cookie: u64,
    /// Inode number; 0 without a `struct socket`.
    pub inode: u64,
    /// For a child in an accept queue: address of the listener's `struct sock`; 0: not found.
    pub listener: u64,
    /// Monotonic clock at this row, ns.
    pub now_ns: u64,
    /// `jiffies_64` at this row.
    pub jiffies: u64,
    /// Endpoints as they are now.
    pub tuple: Tuple,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Next sequence number expected from the peer.
    pub rcv_nxt: u32,
    /// First sequence number not read by the application.
    pub copied_seq: u32,
    /// Sequence number behind the last byte written by the application.
    pub write_seq: u32,
    /// First sequence number not acknowledged by the peer.
    pub snd_una: u32,
    /// `icsk_ack.lrcvtime`: when data last came, low 32 bits of jiffies.
    pub last_data_received: u32,
    /// `rcv_tstamp`: when an acknowledgement last came, low 32 bits of jiffies.
    pub last_ack_received: u32,
    /// `lsndtime`: when data was last sent, low 32 bits of jiffies.
    pub last_data_sent: u32,
    /// Silence after which keepalive probes, if it is on, in jiffies; 0: not known.
    pub keepalive_after: u32,
    /// For a listener: connections that wait for accept().
    pub backlog: u32,
    /// For a listener: limit of the accept queue.
    pub backlog_max: u32,
    /// Pending error.
    pub error: i32,
    /// Protocol number: TCP, or MPTCP which is counted and not covered.
    pub protocol: u16,
    /// TCP state.
    pub state: u8,
    /// `socket->state`, see [`crate::tcp::socket_state`]; 0 without a `struct socket`.
    pub socket_state: u8,
    /// `sk_shutdown`.
    pub shutdown: u8,
    /// [`row_flag`].
    pub flags: u8,
    /// Padding.
    pub pad: [u8; 2],
}
wire!(SocketRow, 144);

//! Numbers of the kernel's TCP that are part of its UAPI or have not moved since it has BTF.

/// `IPPROTO_TCP` (RFC 9293; `include/uapi/linux/in.h`).
pub const IPPROTO_TCP: u16 = 6;
/// `IPPROTO_MPTCP` (`include/uapi/linux/in.h`).
pub const IPPROTO_MPTCP: u16 = 262;
/// `AF_INET`.
pub const AF_INET: u16 = 2;
/// `AF_INET6`.
pub const AF_INET6: u16 = 10;

/// TCP states as the kernel numbers them (`include/net/tcp_states.h`; bpf UAPI `BPF_TCP_*`).
pub mod state {
    /// Data may flow both ways.
    pub const ESTABLISHED: u8 = 1;
    /// connect() has sent a SYN.
    pub const SYN_SENT: u8 = 2;
    /// The child of a listener, before the last step of the handshake; lasts microseconds.
    pub const SYN_RECV: u8 = 3;
    /// This side closed first; its FIN is not acknowledged.
    pub const FIN_WAIT1: u8 = 4;
    /// This side's FIN is acknowledged; the peer has not closed.
    pub const FIN_WAIT2: u8 = 5;
    /// Both closed; old segments may still arrive.
    pub const TIME_WAIT: u8 = 6;
    /// No connection.
    pub const CLOSE: u8 = 7;
    /// The peer has closed, this side has not.
    pub const CLOSE_WAIT: u8 = 8;
    /// The peer closed first, then this side; its FIN is not acknowledged.
    pub const LAST_ACK: u8 = 9;
    /// Waits for connections.
    pub const LISTEN: u8 = 10;
    /// Both sides closed at the same time.
    pub const CLOSING: u8 = 11;
    /// A half-open request; never an event, seen in socket dumps only.
    pub const NEW_SYN_RECV: u8 = 12;
}

/// Values of `socket->state` (`include/uapi/linux/net.h`, `socket_state`).
pub mod socket_state {
    /// Not connected, or a connect() has failed.
    pub const UNCONNECTED: u8 = 1;
    /// A non-blocking connect() was started. Stays for the whole life of the connection unless
    /// connect() is called again (`__inet_stream_connect`).
    pub const CONNECTING: u8 = 2;
    /// Connected, or accepted.
    pub const CONNECTED: u8 = 3;
    /// What shutdown() makes of "connecting" once the connection is over (`inet_shutdown`).
    pub const DISCONNECTING: u8 = 4;
}

/// Bit numbers in `sk->sk_flags` (`enum sock_flags`, `include/net/sock.h`).
pub mod sock_flag {
    /// The FIN of the peer has come.
    pub const DONE: u64 = 1 << 1;
    /// `SO_KEEPALIVE` is on.
    pub const KEEPOPEN: u64 = 1 << 3;
}

/// `RCV_SHUTDOWN` in `sk->sk_shutdown` (`include/net/sock.h`).
pub const RCV_SHUTDOWN: u8 = 1;
/// `MSG_PEEK` (`include/linux/socket.h`).
pub const MSG_PEEK: i32 = 2;
/// `MSG_ERRQUEUE` (`include/linux/socket.h`): reads errors and timestamps, not the stream.
pub const MSG_ERRQUEUE: i32 = 0x2000;

//! The only reader of `struct sock`, `struct socket` and what belongs to them.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_get_socket_cookie, bpf_jiffies64, bpf_ktime_get_ns};
use tcptrace_common::field::Field;
use tcptrace_common::memory::Tuple;
use tcptrace_common::row::{SocketRow, row_flag};
use tcptrace_common::tcp::{AF_INET, AF_INET6, IPPROTO_MPTCP, IPPROTO_TCP, state};
use tcptrace_common::tcp::{sock_flag, socket_state};

use crate::config::{load, read, read_pointer};
use crate::emit::InNetns;

/// The address of a `struct sock`.
#[derive(Clone, Copy)]
pub struct Sock(*const c_void);

impl Sock {
    pub fn new(address: *const c_void) -> Self {
        Self(address)
    }

    /// The address as the key of what is remembered.
    #[inline(always)]
    pub fn key(self) -> u64 {
        self.0 as u64
    }

    #[inline(always)]
    pub fn get<T: Default>(self, field: Field) -> T {
        read(self.0, field).unwrap_or_default()
    }

    /// The protocol, where this is a stream socket of the internet: `sk_protocol` alone also
    /// fits netlink's XFRM and raw sockets.
    #[inline(always)]
    pub fn stream_protocol(self) -> Option<u16> {
        let protocol = self.get::<u16>(Field::SkProtocol);
        let family = self.get::<u16>(Field::SkcFamily);
        let stream = matches!(protocol, IPPROTO_TCP | IPPROTO_MPTCP)
            && matches!(family, AF_INET | AF_INET6)
            && self.get::<u16>(Field::SkType) == SOCK_STREAM;
        stream.then_some(protocol)
    }

    #[inline(always)]
    pub fn state(self) -> u8 {
        self.get(Field::SkcState)
    }

    /// The cookie, made now if the socket has none yet.
    ///
    /// # Safety
    ///
    /// The verifier knows the type of `self`: an argument of the program or loaded from one.
    #[inline(always)]
    pub unsafe fn cookie(self) -> u64 {
        // SAFETY: promised by the caller, checked by the verifier.
        unsafe { bpf_get_socket_cookie(self.0.cast_mut()) }
    }

    /// The cookie as it is, 0 where none was made yet; for an address from any source.
    #[inline(always)]
    pub fn raw_cookie(self) -> u64 {
        self.get(Field::SkcCookie)
    }

    /// Inode number of the network namespace.
    #[inline(always)]
    pub fn netns(self) -> u32 {
        read_pointer(self.0, Field::SkcNet)
            .and_then(|net| read(net, Field::NetInum))
            .unwrap_or_default()
    }

    /// Endpoints of a mini-socket, which has no more than `struct sock_common`.
    #[inline(always)]
    pub fn mini_tuple(self, tuple: &mut Tuple) {
        self.tuple_with_port(tuple, self.get(Field::SkcNum));
    }

    /// The state that a TIME_WAIT mini-socket stands for.
    #[inline(always)]
    pub fn substate(self) -> u8 {
        self.get(Field::MiniSubstate)
    }

    /// Endpoints as they are now.
    #[inline(always)]
    pub fn tuple(self, tuple: &mut Tuple) {
        self.tuple_with_port(tuple, self.local_port());
    }

    #[inline(always)]
    fn tuple_with_port(self, tuple: &mut Tuple, local_port: u16) {
        tuple.family = self.get(Field::SkcFamily);
        tuple.local_port = local_port;
        tuple.remote_port = u16::from_be(self.get(Field::SkcDport));
        if tuple.family == AF_INET6 {
            tuple.local_addr = self.get(Field::SkcV6RcvSaddr);
            tuple.remote_addr = self.get(Field::SkcV6Daddr);
        } else {
            tuple.local_addr = widen(self.get(Field::SkcRcvSaddr));
            tuple.remote_addr = widen(self.get(Field::SkcDaddr));
        }
    }

    /// At CLOSE the kernel gives the port back and clears it, unless it was bound explicitly; what
    /// getsockname() tells stays.
    #[inline(always)]
    pub fn local_port(self) -> u16 {
        match self.get::<u16>(Field::SkcNum) {
            0 => u16::from_be(self.get(Field::InetSport)),
            port => port,
        }
    }

    /// Whether the FIN came and everything before it was read: a read now returns 0.
    #[inline(always)]
    pub fn at_end_of_file(self) -> bool {
        self.get::<u64>(Field::SkcFlags) & sock_flag::DONE != 0
            && self.get::<u32>(Field::RcvNxt) == self.get::<u32>(Field::CopiedSeq)
    }

    /// Whether a descriptor of this socket belongs into a leak report: peer closed, or connection
    /// over, or a listener (whose holders answer for what waits in its queue).
    #[inline(always)]
    pub fn concerns_leaks(self, socket: Socket) -> bool {
        match self.state() {
            state::CLOSE_WAIT | state::LISTEN => true,
            state::CLOSE => socket.was_connected(),
            _ => false,
        }
    }

    /// Whether the connection of a socket with a descriptor is over.
    #[inline(always)]
    pub fn is_dead(self, socket: Socket) -> bool {
        self.state() == state::CLOSE && socket.was_connected()
    }

    /// Whether this is a subflow of an MPTCP connection. Not for mini-sockets.
    #[inline(always)]
    pub fn is_subflow(self) -> bool {
        self.get::<u8>(Field::IsMptcp) & 1 != 0
    }

    /// Inode number; 0 without a `struct socket`. Not for mini-sockets.
    #[inline(always)]
    pub fn inode(self) -> u64 {
        self.socket().map_or(0, Socket::inode)
    }

    /// Fills a row, all but the cookie and [`row_flag::REMEMBERED`]. Not for mini-sockets.
    #[inline(always)]
    pub fn describe(self, row: &mut SocketRow) {
        row.sk = self.key();
        // SAFETY: these helpers have no preconditions.
        (row.now_ns, row.jiffies) = unsafe { (bpf_ktime_get_ns(), bpf_jiffies64()) };
        self.tuple(&mut row.tuple);
        row.netns = self.netns();
        row.protocol = self.get(Field::SkProtocol);
        row.state = self.state();
        row.error = self.get(Field::SkErr);
        row.shutdown = self.get(Field::SkShutdown);
        row.backlog = self.get(Field::SkAckBacklog);
        row.backlog_max = self.get(Field::SkMaxAckBacklog);
        row.flags = self.row_flags();
        row.listener = 0;
        row.pad = [0; 2];
        self.describe_socket(row);
        self.describe_tcp(row);
    }

    #[inline(always)]
    fn describe_socket(self, row: &mut SocketRow) {
        let socket = self.socket();
        row.inode = socket.map_or(0, Socket::inode);
        row.socket_state = socket.map_or(0, Socket::state);
        if socket.is_some() {
            row.flags |= row_flag::HAS_SOCKET;
        }
    }

    /// The fields of `struct tcp_sock`, zero for a socket of another protocol.
    #[inline(always)]
    fn describe_tcp(self, row: &mut SocketRow) {
        if row.protocol != IPPROTO_TCP {
            row.rcv_nxt = 0;
            row.copied_seq = 0;
            row.write_seq = 0;
            row.snd_una = 0;
            row.last_data_received = 0;
            row.last_ack_received = 0;
            row.last_data_sent = 0;
            row.keepalive_after = 0;
            return;
        }
        row.rcv_nxt = self.get(Field::RcvNxt);
        row.copied_seq = self.get(Field::CopiedSeq);
        row.write_seq = self.get(Field::WriteSeq);
        row.snd_una = self.get(Field::SndUna);
        row.last_data_received = self.get(Field::LastDataReceived);
        row.last_ack_received = self.get(Field::LastAckReceived);
        row.last_data_sent = self.get(Field::LastDataSent);
        row.keepalive_after = self.keepalive_after();
        if self.is_subflow() {
            row.flags |= row_flag::SUBFLOW;
        }
    }

    /// Silence before keepalive probes: the socket's own or the namespace's.
    #[inline(always)]
    fn keepalive_after(self) -> u32 {
        match self.get(Field::KeepaliveTime) {
            0 => read_pointer(self.0, Field::SkcNet)
                .and_then(|net| read(net, Field::NetKeepaliveTime))
                .unwrap_or_default(),
            own => own,
        }
    }

    #[inline(always)]
    fn row_flags(self) -> u8 {
        let flags = self.get::<u64>(Field::SkcFlags);
        let fin = if flags & sock_flag::DONE != 0 { row_flag::FIN_RECEIVED } else { 0 };
        let keepalive = if flags & sock_flag::KEEPOPEN != 0 { row_flag::KEEPALIVE } else { 0 };
        fin | keepalive
    }

    /// Whether no `struct socket` is attached.
    #[inline(always)]
    pub fn is_orphan(self) -> bool {
        self.socket().is_none()
    }

    #[inline(always)]
    fn socket(self) -> Option<Socket> {
        read_pointer(self.0, Field::SkSocket).map(Socket)
    }
}

impl InNetns for Sock {
    #[inline(always)]
    fn netns(self) -> u32 {
        Sock::netns(self)
    }
}

/// The address of a `struct socket`.
#[derive(Clone, Copy)]
pub struct Socket(*const c_void);

impl Socket {
    pub fn new(address: *const c_void) -> Self {
        Self(address)
    }

    #[inline(always)]
    fn state(self) -> u8 {
        read::<u32>(self.0, Field::SocketState).unwrap_or_default() as u8
    }

    /// Whether connect() was called on it, or accept() gave it, with success: a dead socket was, one
    /// that is new or whose connect() failed was not.
    #[inline(always)]
    fn was_connected(self) -> bool {
        self.state() != 0 && self.state() != socket_state::UNCONNECTED
    }

    #[inline(always)]
    fn inode(self) -> u64 {
        read(self.0, Field::SocketInode).unwrap_or_default()
    }

    /// Its sock, for an address from any source.
    #[inline(always)]
    pub fn sock(self) -> Option<Sock> {
        read_pointer(self.0, Field::SocketSk).map(Sock)
    }

    /// Its sock, with the type known to the verifier.
    ///
    /// # Safety
    ///
    /// The verifier knows the type of `self`.
    #[inline(always)]
    pub unsafe fn typed_sock(self) -> Option<Sock> {
        // SAFETY: promised by the caller, checked by the verifier.
        let sk = unsafe { load::<*const c_void>(self.0, Field::SocketSk) };
        (!sk.is_null()).then_some(Sock(sk))
    }
}

/// The requests of a listener whose children wait for accept(), oldest first. Null at the end:
/// an `Option` would leave bytes unset that the verifier asks for.
pub struct AcceptQueue(*const c_void);

impl AcceptQueue {
    #[inline(always)]
    pub fn of(listener: Sock) -> Self {
        Self(read(listener.0, Field::AcceptHead).unwrap_or(core::ptr::null()))
    }

    /// The next child. The queue may change meanwhile; a bad address ends the walk.
    #[inline(always)]
    pub fn next(&mut self) -> Option<Sock> {
        let request = self.0;
        if request.is_null() {
            return None;
        }
        self.0 = read(request, Field::RequestNext).unwrap_or(core::ptr::null());
        read_pointer(request, Field::RequestSk).map(Sock)
    }

    /// Whether the walk has come to the end.
    #[inline(always)]
    pub fn is_done(&self) -> bool {
        self.0.is_null()
    }
}

const SOCK_STREAM: u16 = 1;

#[inline(always)]
fn widen(address: [u8; 4]) -> [u8; 16] {
    let [a, b, c, d] = address;
    [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
}

//! Sockets as the kernel's socket diagnosis shows them (sock_diag(7)): without eBPF and without
//! root, in one network namespace, with timers.
//!
//! A dump is not one moment: a socket that moves between two pieces may be shown twice or not at
//! all. So it serves for counts and not for a claim about one socket.

use std::net::IpAddr;

use anyhow::{Context as _, Result, bail};
use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::nlas::Nla;
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponse, InetResponseHeader, SocketId, StateFlags,
    Timer as Running,
};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use netlink_sys::{Socket, SocketAddr};

use crate::doctor::tally::{Place, Seen, Timer};
use crate::lifecycle::socket::State;

/// The kernel fills at most this much at a time (`netlink_dump`, `net/netlink/af_netlink.c`).
const BUFFER: usize = 64 << 10;
const NS_PER_MS: u64 = 1_000_000;

/// The dump of one network namespace, that of the calling thread.
pub struct Diag {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Diag {
    /// Opens a netlink socket in the namespace of the calling thread.
    ///
    /// # Errors
    ///
    /// When the kernel has no socket diagnosis.
    pub fn open() -> Result<Self> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG).context("no socket diagnosis here")?;
        socket.bind_auto().context("cannot bind a netlink socket")?;
        socket.connect(&SocketAddr::new(0, 0)).context("cannot connect a netlink socket")?;
        Ok(Self { socket, buffer: vec![0; BUFFER] })
    }

    /// Gives `each` the listeners.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub fn listeners(&mut self, mut each: impl FnMut(&Seen)) -> Result<()> {
        self.dump(&StateFlags::LISTEN, &ExtensionFlags::empty(), &mut each)
    }

    /// Gives `each` all other sockets. For how long ESTABLISHED and CLOSE_WAIT have been idle is
    /// asked for these alone, because the kernel locks a socket to tell.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub fn others(&mut self, mut each: impl FnMut(&Seen)) -> Result<()> {
        let told = StateFlags::ESTABLISHED | StateFlags::CLOSE_WAIT;
        let rest = StateFlags::all() - told.clone() - StateFlags::LISTEN;
        self.dump(&told, &ExtensionFlags::INFO, &mut each)?;
        self.dump(&rest, &ExtensionFlags::empty(), &mut each)
    }

    fn dump(
        &mut self,
        states: &StateFlags,
        extensions: &ExtensionFlags,
        each: &mut impl FnMut(&Seen),
    ) -> Result<()> {
        for family in [AF_INET, AF_INET6] {
            self.ask(InetRequest {
                family,
                protocol: IPPROTO_TCP,
                extensions: extensions.clone(),
                states: states.clone(),
                socket_id: if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() },
            })?;
            while self.take(each)? {}
        }
        Ok(())
    }

    fn ask(&mut self, request: InetRequest) -> Result<()> {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let request = SockDiagMessage::InetRequest(request).into();
        let mut message = NetlinkMessage::new(header, request);
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0).context("cannot ask the socket diagnosis")?;
        Ok(())
    }

    /// Takes one piece of the answer; whether there is more.
    fn take(&mut self, each: &mut impl FnMut(&Seen)) -> Result<bool> {
        let Self { socket, buffer } = self;
        let length = socket.recv(&mut &mut buffer[..], 0).context("no answer about sockets")?;
        let mut rest = &buffer[..length];
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest)
                .context("cannot understand the socket diagnosis")?;
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
                    if let Some(seen) = seen(&response) {
                        each(&seen);
                    }
                }
                NetlinkPayload::Done(_) => return Ok(false),
                NetlinkPayload::Error(error) => bail!("the socket diagnosis says {error}"),
                _ => {}
            }
            // Messages begin at multiples of four.
            let taken = (message.header.length as usize).next_multiple_of(4).max(4);
            rest = rest.get(taken..).unwrap_or_default();
        }
        Ok(true)
    }
}

/// `None`: in a state that this program does not know.
fn seen(response: &InetResponse) -> Option<Seen> {
    let header = &response.header;
    let id = &header.socket_id;
    let place = |address: IpAddr, port| Place::new(address.to_canonical(), port);
    Some(Seen {
        state: State::from_kernel(header.state)?,
        local: place(id.source_address, id.source_port),
        remote: place(id.destination_address, id.destination_port),
        inode: header.inode,
        cookie: u64::from_le_bytes(id.cookie),
        receive_queue: header.recv_queue,
        send_queue: header.send_queue,
        timer: timer(header),
        idle_ns: response.nlas.iter().find_map(|own| match own {
            Nla::TcpInfo(info) => {
                Some(idle([info.last_data_recv, info.last_data_sent, info.last_ack_recv]))
            }
            _ => None,
        }),
    })
}

fn timer(header: &InetResponseHeader) -> Timer {
    match &header.timer {
        None => Timer::None,
        Some(Running::Retransmit(_, count)) => Timer::Retransmit(*count),
        Some(Running::KeepAlive(left)) => {
            Timer::Keepalive(u64::try_from(left.as_nanos()).unwrap_or(u64::MAX))
        }
        Some(Running::TimeWait) => Timer::TimeWait,
        Some(Running::Probe(_)) => Timer::Probe,
    }
}

/// Nothing has come or gone since the last of these, all in ms. Acknowledgements count too, though
/// they may answer what this side sends, keepalive among it: so it is at least so long.
fn idle(last: [u32; 3]) -> u64 {
    last.into_iter().min().map_or(0, u64::from) * NS_PER_MS
}

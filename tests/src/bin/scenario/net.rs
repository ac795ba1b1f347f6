//! Listeners, accepts and reads, with their facts.

use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result};
use socket2::{Domain, Protocol, Socket, Type};

use crate::args::Args;
use crate::facts::{self, say, stage};

/// Listens on `--addr` at `--port`, else one that the kernel picks, and says which. `::` also takes
/// IPv4; with `--reuseport true` others may listen there too.
pub fn listen(args: &Args) -> Result<TcpListener> {
    let address = SocketAddr::new(args.need::<IpAddr>("addr")?, args.or("port", 0)?);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_reuse_port(args.or("reuseport", false)?)?;
    socket.bind(&address.into()).with_context(|| format!("bind {address}"))?;
    socket.listen(args.or("backlog", 64)?)?;
    let listener = TcpListener::from(socket);
    say("port", listener.local_addr()?.port());
    stage("ready");
    Ok(listener)
}

/// Accepts one connection and says everything about it: this process opened it and holds it.
pub fn accept(listener: &TcpListener) -> Result<TcpStream> {
    let stream = accept_opened(listener)?;
    facts::holder(stream.as_fd())?;
    stage("accepted");
    Ok(stream)
}

/// [`accept`] where somebody else will hold it.
pub fn accept_opened(listener: &TcpListener) -> Result<TcpStream> {
    let (stream, peer) = listener.accept().context("accept")?;
    facts::opener()?;
    facts::addresses(stream.local_addr()?, peer);
    Ok(stream)
}

/// Reads until the peer's close was seen, and says so.
pub fn read_to_eof(stream: &mut TcpStream) -> Result<()> {
    drain(stream)?;
    facts::eof();
    Ok(())
}

/// Reads until the peer's close was seen.
pub fn drain(stream: &mut TcpStream) -> Result<()> {
    let mut buffer = [0; 4096];
    while stream.read(&mut buffer).context("read")? > 0 {}
    Ok(())
}

/// Keeps one connection until the test ends.
pub fn keep(stream: TcpStream) -> Result<()> {
    crate::control::keep(vec![OwnedFd::from(stream)])
}

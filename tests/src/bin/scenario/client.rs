//! The other end: clients that close in their several ways, and one that does not.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use socket2::{Domain, SockRef, Socket, Type};

use crate::args::Args;
use crate::facts::{self, now, stage};
use crate::{control, net};

/// Opens `--count` connections to `--connect`, sends `--send` bytes on each, and on the command
/// `finish` does what `--then` says with all: `close`, `shutdown`, `rst`, `shutdown-rst`.
/// With `--drain true` it goes on reading what comes.
pub fn connect(args: &Args) -> Result<()> {
    let server = args.need("connect")?;
    let message = vec![b'm'; args.or("send", 0)?];
    now("connecting_at");
    let mut streams = Vec::new();
    for _ in 0..args.or("count", 1)? {
        let mut stream = open(server, args)?;
        stream.write_all(&message)?;
        facts::addresses(stream.local_addr()?, stream.peer_addr()?);
        streams.push(stream);
    }
    stage("ready");
    control::expect("finish")?;
    let then = args.or("then", "close".to_owned())?;
    now("closing_at");
    let streams = finish(streams, &then)?;
    now("closed_at");
    if args.or("drain", false)? {
        drain_all(streams);
        return control::wait_hangup();
    }
    control::wait_hangup()?;
    drop(streams);
    Ok(())
}

fn open(server: SocketAddr, args: &Args) -> Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
    if let size @ 1.. = args.or("rcvbuf", 0)? {
        socket.set_recv_buffer_size(size)?;
    }
    socket.connect(&server.into()).with_context(|| format!("connect to {server}"))?;
    Ok(socket.into())
}

/// Returns the streams that are still open.
fn finish(streams: Vec<TcpStream>, then: &str) -> Result<Vec<TcpStream>> {
    match then {
        "close" => return Ok(Vec::new()),
        "rst" => return reset(streams),
        _ => {}
    }
    for stream in &streams {
        stream.shutdown(Shutdown::Write)?;
    }
    match then {
        "shutdown" => Ok(streams),
        "shutdown-rst" => reset(streams),
        other => bail!("--then {other}?"),
    }
}

fn reset(streams: Vec<TcpStream>) -> Result<Vec<TcpStream>> {
    for stream in &streams {
        SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
    }
    Ok(Vec::new())
}

fn drain_all(streams: Vec<TcpStream>) {
    for mut stream in streams {
        thread::spawn(move || net::drain(&mut stream));
    }
}

/// Connects to `--connect` and keeps the socket after the server has closed it. With
/// `--nonblocking true` the connect returns before the handshake; with `--read true` the end is
/// read.
pub fn leak(args: &Args) -> Result<()> {
    let server: SocketAddr = args.need("connect")?;
    now("connecting_at");
    let socket = Socket::new(Domain::for_address(server), Type::STREAM, None)?;
    if args.or("nonblocking", false)? {
        connect_later(&socket, server)?;
    } else {
        socket.connect(&server.into())?;
    }
    facts::opened(socket.as_fd())?;
    let mut stream = TcpStream::from(socket);
    facts::addresses(stream.local_addr()?, stream.peer_addr()?);
    stage("ready");
    if args.or("read", false)? {
        net::read_to_eof(&mut stream)?;
    }
    net::keep(stream)
}

fn connect_later(socket: &Socket, server: SocketAddr) -> Result<()> {
    socket.set_nonblocking(true)?;
    let first = socket.connect(&server.into());
    let pending = matches!(&first, Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS));
    ensure!(pending, "the connect did not wait: {first:?}");
    poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)], PollTimeout::NONE)?;
    if let Some(error) = socket.take_error()? {
        return Err(error).with_context(|| format!("connect to {server}"));
    }
    socket.set_nonblocking(false)?;
    Ok(())
}

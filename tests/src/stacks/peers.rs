//! The other ends of a target's sockets, held by the test in namespace `b`.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use anyhow::{Context, Result};

use super::event::Ports;
use crate::netns::NetPair;

/// A listener and clients. Whatever is open closes with this.
pub struct Peers<'a> {
    pair: &'a NetPair,
    listener: TcpListener,
    open: Vec<(Ports, TcpStream)>,
}

impl<'a> Peers<'a> {
    /// Listens in `b`.
    pub fn new(pair: &'a NetPair) -> Result<Self> {
        let at = SocketAddr::from((pair.b.v4, 0));
        let listener = pair.b.inside(|| Ok(TcpListener::bind(at)?))?;
        Ok(Self { pair, listener, open: Vec::new() })
    }

    /// Where targets connect to.
    pub fn address(&self) -> Result<(Ipv4Addr, u16)> {
        Ok((self.pair.b.v4, self.listener.local_addr()?.port()))
    }

    /// Connects to a target; the ports are as the target sees them.
    pub fn connect(&mut self, port: u16) -> Result<Ports> {
        let to = SocketAddr::from((self.pair.a.v4, port));
        let stream = self.pair.b.inside(|| Ok(TcpStream::connect(to)?));
        let stream = stream.with_context(|| format!("connect to {to}"))?;
        let ports = Ports { local: port, remote: stream.local_addr()?.port() };
        self.open.push((ports, stream));
        Ok(ports)
    }

    /// Takes a connection of the target; the ports are as the target sees them.
    pub fn accept(&mut self) -> Result<Ports> {
        let (stream, from) = self.listener.accept()?;
        let ports = Ports { local: from.port(), remote: stream.local_addr()?.port() };
        self.open.push((ports, stream));
        Ok(ports)
    }

    /// The last one that was opened.
    pub fn last(&self) -> Result<&TcpStream> {
        Ok(&self.open.last().context("none is open")?.1)
    }

    /// Closes one.
    pub fn close(&mut self, ports: Ports) {
        self.open.retain(|(open, _)| *open != ports);
    }

    /// Closes all.
    pub fn close_all(&mut self) {
        self.open.clear();
    }
}

//! Servers that keep a descriptor of a connection that is over.

use std::io::{ErrorKind, Read};
use std::net::Shutdown;

use anyhow::{Result, ensure};

use crate::args::Args;
use crate::{facts, net};

/// Reads, is told of the reset, and keeps the socket. The pending error is gone then.
pub fn rst_read(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let mut stream = net::accept(&listener)?;
    let result = stream.read(&mut [0; 16]);
    let reset = matches!(&result, Err(error) if error.kind() == ErrorKind::ConnectionReset);
    ensure!(reset, "wanted a reset, got {result:?}");
    net::keep(stream)
}

/// Reads the end, shuts its own side down, and keeps the socket.
pub fn shutdown_keep(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let mut stream = net::accept(&listener)?;
    net::read_to_eof(&mut stream)?;
    facts::now("entering_at");
    stream.shutdown(Shutdown::Write)?;
    facts::now("entered_at");
    net::keep(stream)
}

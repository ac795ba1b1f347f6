//! Many connections of one process with itself.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use anyhow::{Context, Result};

use crate::args::Args;
use crate::control;
use crate::facts::stage;

/// Connections to one listener: fewer than the ports that the kernel picks from.
const TO_ONE: usize = 20_000;

/// Opens `--count` connections over loopback, both ends here, and keeps them.
pub fn crowd(args: &Args) -> Result<()> {
    let mut left: usize = args.need("count")?;
    control::raise_descriptor_limit()?;
    let mut kept: Vec<(TcpListener, Vec<TcpStream>)> = Vec::new();
    while left > 0 {
        let count = left.min(TO_ONE);
        kept.push(connections(count)?);
        left -= count;
    }
    stage("ready");
    control::wait_hangup()?;
    drop(kept);
    Ok(())
}

fn connections(count: usize) -> Result<(TcpListener, Vec<TcpStream>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut streams = Vec::with_capacity(2 * count);
    for index in 0..count {
        let client = TcpStream::connect(listener.local_addr()?);
        streams.push(client.with_context(|| format!("connection {index}"))?);
        streams.push(listener.accept()?.0);
    }
    Ok((listener, streams))
}

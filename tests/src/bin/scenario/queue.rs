//! Listeners whose queue nobody empties.

use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::Result;

use crate::args::Args;
use crate::facts::say;
use crate::{control, net};

/// Never calls accept.
pub fn never_accept(args: &Args) -> Result<()> {
    keep_listening(net::listen(args)?)
}

/// Serves `--accept` connections to their end, then never calls accept again.
pub fn stop_accepting(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    for _ in 0..args.need("accept")? {
        let (mut stream, _) = listener.accept()?;
        net::drain(&mut stream)?;
    }
    keep_listening(listener)
}

fn keep_listening(listener: TcpListener) -> Result<()> {
    say("listener_fd", listener.as_raw_fd());
    control::keep(vec![OwnedFd::from(listener)])
}

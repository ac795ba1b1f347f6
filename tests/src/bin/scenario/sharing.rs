//! Sockets that end up with somebody other than who opened them.

use std::os::fd::AsFd;

use anyhow::Result;
use nix::sys::wait::waitpid;
use nix::unistd::{read, write};

use crate::args::Args;
use crate::{control, facts, fork, net};

/// A forked child inherits the socket; the parent closes its own.
pub fn child_inherits(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let stream = net::accept_opened(&listener)?;
    let child = fork::child("heir", control::wait_hangup)?;
    facts::holder_of(child.as_raw() as u32, stream.as_fd())?;
    facts::stage("accepted");
    drop(stream);
    control::keep(Vec::new())
}

/// The socket goes to another process over a unix socket; the sender closes its own.
pub fn pass_fd(args: &Args) -> Result<()> {
    let (ours, theirs) = fork::pair()?;
    fork::child("receiver", || {
        let socket = fork::receive_fd(&theirs)?;
        facts::holder(socket.as_fd())?;
        write(&theirs, b"got it")?;
        control::wait_hangup()
    })?;
    let listener = net::listen(args)?;
    let stream = net::accept_opened(&listener)?;
    fork::send_fd(&ours, stream.as_fd())?;
    drop(stream);
    read(&ours, &mut [0; 16])?;
    facts::stage("accepted");
    control::keep(Vec::new())
}

/// The socket is sent over a unix socket and never received.
pub fn fd_in_flight(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let stream = net::accept_opened(&listener)?;
    let (one, other) = fork::pair()?;
    fork::send_fd(&one, stream.as_fd())?;
    drop(stream);
    facts::stage("accepted");
    control::keep(vec![one, other])
}

/// The process that accepted is gone; its child has the socket.
pub fn exit_opener(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let opener = fork::child("opener", || {
        let stream = net::accept_opened(&listener)?;
        let heir = fork::child("heir", control::wait_hangup)?;
        facts::holder_of(heir.as_raw() as u32, stream.as_fd())
    })?;
    waitpid(opener, None)?;
    facts::stage("accepted");
    control::keep(Vec::new())
}

//! Sockets that end up with somebody other than who opened them.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd};
use std::thread;

use anyhow::{Result, ensure};
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

/// A hundred sockets that go back and forth between low and high descriptors all the time, so that
/// one who reads the descriptors in order misses some of them.
pub fn juggle(_args: &Args) -> Result<()> {
    const SOCKETS: i32 = 100;
    const LOW: i32 = 1000;
    const HIGH: i32 = 4000;
    let limit = libc::rlimit { rlim_cur: 8192, rlim_max: 8192 };
    // SAFETY: a valid structure for the whole call.
    ensure!(unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) } == 0, "setrlimit");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    for index in 0..SOCKETS {
        drop(TcpStream::connect(listener.local_addr()?)?);
        let accepted = listener.accept()?.0;
        control::wait_peer_close(&accepted)?;
        move_to(accepted.into_raw_fd(), LOW + index)?;
    }
    // Something between the two places, so that a pass over them takes a while.
    for index in LOW + SOCKETS..HIGH {
        // SAFETY: integers only; the number is free.
        ensure!(unsafe { libc::dup2(listener.as_raw_fd(), index) } == index, "dup2");
    }
    thread::spawn(|| -> Result<()> {
        loop {
            (0..SOCKETS).try_for_each(|index| move_to(LOW + index, HIGH + index))?;
            (0..SOCKETS).try_for_each(|index| move_to(HIGH + index, LOW + index))?;
        }
    });
    facts::say("sockets", SOCKETS);
    control::keep(Vec::new())
}

fn move_to(from: i32, to: i32) -> Result<()> {
    // SAFETY: integers only; no owner of either descriptor is left in this program.
    let moved = unsafe { libc::dup2(from, to) == to && libc::close(from) == 0 };
    ensure!(moved, "move descriptor {from} to {to}");
    Ok(())
}

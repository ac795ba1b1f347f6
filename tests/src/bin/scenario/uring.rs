//! Accepts through io_uring: no accept system call is ever made.

use std::net::TcpStream;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result, ensure};
use io_uring::squeue::Entry;
use io_uring::types::{DestinationSlot, Fd};
use io_uring::{IoUring, cqueue, opcode};

use crate::args::Args;
use crate::{control, facts, net};

/// Accepts into a normal descriptor, with `--multishot true` by a request that goes on.
pub fn accept(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let mut ring = IoUring::new(8)?;
    let from = Fd(listener.as_raw_fd());
    let request = if args.or("multishot", false)? {
        opcode::AcceptMulti::new(from).build()
    } else {
        opcode::Accept::new(from, std::ptr::null_mut(), std::ptr::null_mut()).build()
    };
    let (fd, more) = complete(&mut ring, &request)?;
    ensure!(more == args.or("multishot", false)?, "the kernel did not go on");
    // SAFETY: the completion says that this descriptor is new, and nobody else owns it.
    let stream = TcpStream::from(unsafe { OwnedFd::from_raw_fd(fd) });
    facts::addresses(stream.local_addr()?, stream.peer_addr()?);
    facts::opened(std::os::fd::AsFd::as_fd(&stream))?;
    facts::stage("accepted");
    net::keep(stream)
}

/// Accepts into a slot of the ring: the socket has no descriptor at all.
pub fn accept_fixed(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let mut ring = IoUring::new(8)?;
    ring.submitter().register_files_sparse(4)?;
    let from = Fd(listener.as_raw_fd());
    let request = opcode::Accept::new(from, std::ptr::null_mut(), std::ptr::null_mut())
        .file_index(Some(DestinationSlot::auto_target()))
        .build();
    let (slot, _) = complete(&mut ring, &request)?;
    facts::say("slot", slot);
    facts::opener()?;
    facts::stage("accepted");
    control::keep(Vec::new())?;
    drop(ring);
    Ok(())
}

/// Submits one request and waits for its result, and whether more results will come.
fn complete(ring: &mut IoUring, request: &Entry) -> Result<(i32, bool)> {
    // SAFETY: the request points to no memory, and its listener outlives the ring's use of it.
    unsafe { ring.submission().push(request) }?;
    ring.submit_and_wait(1)?;
    let entry = ring.completion().next().context("no completion")?;
    let result = entry.result();
    ensure!(result >= 0, "accept: {}", std::io::Error::from_raw_os_error(-result));
    Ok((result, cqueue::more(entry.flags())))
}

//! Other processes, and descriptors sent to them.

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use anyhow::{Context, Result, bail};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg,
    sendmsg, socketpair,
};
use nix::unistd::{ForkResult, Pid, fork};

use crate::control;

/// Forks a child with a name of its own that does one thing and ends.
///
/// Only for programs with a single thread.
pub fn child(name: &str, job: impl FnOnce() -> Result<()>) -> Result<Pid> {
    // SAFETY: the caller has one thread, so the child may use everything its parent could.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => be_child(name, job),
    }
}

/// What a forked process does: its job, and nothing of its parent's afterwards.
pub fn be_child(name: &str, job: impl FnOnce() -> Result<()>) -> ! {
    control::limit_life();
    let done = fs::write("/proc/self/comm", name).context("set the name").and_then(|()| job());
    if let Err(error) = &done {
        eprintln!("{name}: {error:#}");
    }
    std::process::exit(i32::from(done.is_err()))
}

/// A connected pair of unix sockets.
pub fn pair() -> Result<(OwnedFd, OwnedFd)> {
    let flags = SockFlag::SOCK_CLOEXEC;
    Ok(socketpair(AddressFamily::Unix, SockType::Stream, None, flags)?)
}

/// Sends one byte with a descriptor attached.
pub fn send_fd(through: &OwnedFd, fd: BorrowedFd) -> Result<()> {
    let fds = [fd.as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&fds)];
    sendmsg::<()>(through.as_raw_fd(), &[IoSlice::new(b"f")], &rights, MsgFlags::empty(), None)?;
    Ok(())
}

/// Receives what [`send_fd`] sent.
pub fn receive_fd(from: &OwnedFd) -> Result<OwnedFd> {
    let mut byte = [0];
    let mut parts = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!([i32; 1]);
    let got = recvmsg::<()>(from.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
    for message in got.cmsgs()? {
        if let ControlMessageOwned::ScmRights(fds) = message
            && let [fd] = fds[..]
        {
            // SAFETY: the kernel has just made this descriptor for us; nobody else owns it.
            return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
        }
    }
    bail!("no descriptor came")
}

//! The test's side of the line: commands on standard input, and its end.

use std::io::stdin;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::{alarm, getpgrp};
use tcptrace_tests::wait;

use crate::facts::{now, say, stage};

const LIFE_SECONDS: libc::c_uint = 120;

/// The process ends after two minutes, whatever happens. Forked children call it again.
pub fn limit_life() {
    alarm::set(LIFE_SECONDS * wait::patience());
}

/// As many descriptors as this process may have.
pub fn raise_descriptor_limit() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

/// From now on the process and its children end when the test closes its end of standard input,
/// whatever they are blocked in. The process must lead its process group.
pub fn end_with_input() -> Result<()> {
    let on_input = SigHandler::Handler(exit_at_hangup);
    let action = SigAction::new(on_input, SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler calls poll and _exit alone, which are async-signal-safe.
    unsafe { sigaction(Signal::SIGIO, &action) }?;
    let group = -getpgrp().as_raw();
    // SAFETY: both calls take integers and touch no memory of ours; 0 is standard input.
    let result = unsafe {
        libc::fcntl(0, libc::F_SETOWN, group) | libc::fcntl(0, libc::F_SETFL, libc::O_ASYNC)
    };
    if result != 0 {
        return Err(std::io::Error::last_os_error()).context("ask for SIGIO on standard input");
    }
    Ok(())
}

extern "C" fn exit_at_hangup(_: libc::c_int) {
    let mut input = libc::pollfd { fd: 0, events: 0, revents: 0 };
    // SAFETY: `errno` is this thread's own and is put back; `input` is one valid pollfd.
    unsafe {
        let errno = *libc::__errno_location();
        libc::poll(&mut input, 1, 0);
        *libc::__errno_location() = errno;
        if input.revents & libc::POLLHUP != 0 {
            libc::_exit(0);
        }
    }
}

/// The next command; `None` when the test has closed its end.
pub fn next() -> Result<Option<String>> {
    let mut line = String::new();
    let length = stdin().read_line(&mut line).context("read a command")?;
    Ok((length > 0).then(|| line.trim().to_owned()))
}

/// Waits for one command. Ends the process when there is none any more.
pub fn expect(command: &str) -> Result<()> {
    match next()? {
        Some(got) if got == command => Ok(()),
        Some(got) => bail!("wanted {command}, got {got}"),
        None => std::process::exit(0),
    }
}

/// Says `leaking` and keeps the sockets until the test ends. `state` tells their TCP state,
/// `close` closes them.
pub fn keep(mut sockets: Vec<OwnedFd>) -> Result<()> {
    stage("leaking");
    while let Some(command) = next()? {
        match command.as_str() {
            "state" => tell_states(&sockets)?,
            "close" => {
                sockets.clear();
                now("released_at");
            }
            "finish" => {}
            other => bail!("unknown command {other}"),
        }
    }
    Ok(())
}

/// For forked children, which leave the commands to their parent: waits for the end of input.
pub fn wait_hangup() -> Result<()> {
    let input = stdin();
    // No event is asked for, and a hang-up is always reported.
    while !happens(input.as_fd(), PollFlags::empty())? {}
    Ok(())
}

/// Waits until the peer has closed its side of a connection, without reading.
pub fn wait_peer_close(socket: &impl AsFd) -> Result<()> {
    while !happens(socket.as_fd(), PollFlags::from_bits_retain(libc::POLLRDHUP))? {}
    Ok(())
}

fn happens(fd: BorrowedFd, events: PollFlags) -> Result<bool> {
    let mut fds = [PollFd::new(fd, events)];
    match poll(&mut fds, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    // `None` stands for a bit that the library does not name, and POLLRDHUP is one.
    Ok(fds[0].any().unwrap_or(true))
}

fn tell_states(sockets: &[OwnedFd]) -> Result<()> {
    for socket in sockets {
        say("tcp_state", tcp_state(socket)?);
    }
    Ok(())
}

/// The first byte of TCP_INFO. Does not consume a pending socket error.
fn tcp_state(socket: &OwnedFd) -> Result<u8> {
    let mut state = 0u8;
    let mut length: libc::socklen_t = 1;
    // SAFETY: the buffer is one byte long and `length` says so; the kernel writes no more.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut state).cast(),
            &mut length,
        )
    };
    if result != 0 {
        return Err(std::io::Error::last_os_error()).context("TCP_INFO");
    }
    Ok(state)
}

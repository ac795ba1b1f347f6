//! What a program tells the test: one `key=value` line a fact.

use std::fmt::Display;
use std::fs;
use std::io::{Write, stdout};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd};

use anyhow::{Context, Result};
use nix::unistd::gettid;
use tcptrace_tests::clock::monotonic_ns;
use tcptrace_tests::process;

/// Prints one fact in one write, so that lines of several processes never mix.
pub fn say(key: &str, value: impl Display) {
    line(&format!("{key}={value}\n"));
}

/// Prints a bare word: a stage that was reached.
pub fn stage(word: &str) {
    line(&format!("{word}\n"));
}

/// Prints the monotonic time of now.
pub fn now(key: &str) {
    say(key, monotonic_ns());
}

fn line(text: &str) {
    // A test that is gone reads nothing any more; standard input ends then too.
    let _ = stdout().write_all(text.as_bytes());
}

/// Names the process after its scenario and says who it is.
pub fn start(name: &str) -> Result<()> {
    fs::write("/proc/self/comm", name).context("set the name")?;
    say("pid", std::process::id());
    Ok(())
}

/// Says that this thread opened the socket, now.
pub fn opened(fd: BorrowedFd) -> Result<()> {
    opener()?;
    holder(fd)
}

/// [`opened`] without a descriptor.
pub fn opener() -> Result<()> {
    let pid = std::process::id();
    now("opened_at");
    say("opener_pid", pid);
    say("opener_tid", gettid());
    say("opener_comm", process::comm(pid)?.escape_default());
    say("opener_start", process::start_ticks(pid)?);
    Ok(())
}

/// Says that this process holds the socket when all is set up.
pub fn holder(fd: BorrowedFd) -> Result<()> {
    holder_of(std::process::id(), fd)
}

/// Says that another process holds the socket under this number.
pub fn holder_of(pid: u32, fd: BorrowedFd) -> Result<()> {
    say("holder", format_args!("{pid}:{}", fd.as_raw_fd()));
    Ok(())
}

/// Says that this thread was told of the peer's close, now.
pub fn eof() {
    now("eof_at");
    say("eof_pid", std::process::id());
    say("eof_tid", gettid());
}

/// Says both addresses of a connection, IPv4-mapped ones as IPv4.
pub fn addresses(local: SocketAddr, peer: SocketAddr) {
    say("local", canonical(local));
    say("peer", canonical(peer));
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

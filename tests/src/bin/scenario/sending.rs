//! Servers that still send, or still sit in a system call, when the peer has closed its side.

use std::net::TcpStream;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use nix::unistd::gettid;
use tcptrace_tests::wait;

use crate::args::Args;
use crate::{control, facts, net};

/// More than any send buffer takes, so that one write never comes to its end.
const TOO_MUCH: usize = 64 << 20;
const TRICKLE: Duration = Duration::from_millis(100);
/// The trickle is bounded, whatever the test does.
const TRICKLES: u32 = 1000;

/// Half-closed by design: has read the end and goes on sending a little.
pub fn half_close(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let mut stream = net::accept(&listener)?;
    net::read_to_eof(&mut stream)?;
    // Another descriptor would be another holder, so the thread writes through the same one.
    let fd = stream.as_raw_fd();
    thread::spawn(move || {
        for _ in 0..TRICKLES {
            write_raw(fd, b".");
            thread::sleep(TRICKLE);
        }
    });
    net::keep(stream)
}

/// Writes until the peer takes no more.
pub fn send_blocked(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let stream = net::accept(&listener)?;
    let thread = blocked_in(&stream, send_too_much)?;
    facts::say("blocked_tid", thread);
    net::keep(stream)
}

/// One thread is blocked in a write; another closes the descriptor.
pub fn close_while_send(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let stream = net::accept_opened(&listener)?;
    blocked_in(&stream, send_too_much)?;
    drop(stream);
    facts::stage("accepted");
    control::keep(Vec::new())
}

/// One thread is blocked in a read; another closes the descriptor. The peer's close ends the
/// read, and the socket with it.
pub fn close_while_read(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let stream = net::accept_opened(&listener)?;
    blocked_in(&stream, |fd| {
        read_raw(fd);
        facts::now("read_returned_at");
    })?;
    drop(stream);
    facts::stage("accepted");
    control::keep(Vec::new())
}

/// Starts a thread that makes one system call on the socket, and returns its tid when it sleeps
/// in there.
fn blocked_in(stream: &TcpStream, call: fn(RawFd)) -> Result<i32> {
    let fd = stream.as_raw_fd();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let _ = tell.send(gettid().as_raw());
        call(fd);
    });
    let tid = told.recv()?;
    wait::until("the thread to block", || Ok(in_call_on(tid, fd).then_some(())))?;
    Ok(tid)
}

/// Whether a thread sleeps in a read or write on this descriptor.
fn in_call_on(tid: i32, fd: RawFd) -> bool {
    let text = std::fs::read_to_string(format!("/proc/self/task/{tid}/syscall"));
    let text = text.unwrap_or_default();
    let mut words = text.split_whitespace();
    let number = words.next().and_then(|word| word.parse::<libc::c_long>().ok());
    let first = words.next().map(str::to_owned);
    matches!(number, Some(libc::SYS_read | libc::SYS_write)) && first == Some(format!("{fd:#x}"))
}

fn send_too_much(fd: RawFd) {
    write_raw(fd, &vec![0; TOO_MUCH]);
}

fn write_raw(fd: RawFd, bytes: &[u8]) {
    // SAFETY: the buffer is valid for its length. The descriptor may be closed by another thread
    // while the call runs: that is the scenario, and the process opens nothing in its place.
    unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
}

fn read_raw(fd: RawFd) {
    let mut buffer = [0u8; 16];
    // SAFETY: as in `write_raw`; the buffer is valid for its length.
    unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
}

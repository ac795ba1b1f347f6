//! Servers that accept and then do not read, read in part, or read the end and forget to close.

use std::ffi::CStr;
use std::io::Read;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use nix::sys::prctl;
use socket2::{SockRef, TcpKeepalive};

use crate::args::Args;
use crate::{control, net};

/// A name that clears the screen, breaks the line, rings the bell and is not UTF-8.
const HOSTILE: &CStr = c"\x1b[2J\n\xff\xfe\x07\x9bm'\"|";

pub fn read_eof_keep(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let mut stream = net::accept(&listener)?;
    net::read_to_eof(&mut stream)?;
    net::keep(stream)
}

/// With `--keepalive SECONDS` the socket probes its peer after so long a silence.
pub fn never_read(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let stream = net::accept(&listener)?;
    let silence: u64 = args.or("keepalive", 0)?;
    if silence > 0 {
        let silence = Duration::from_secs(silence);
        let probes = TcpKeepalive::new().with_time(silence).with_interval(silence);
        SockRef::from(&stream).set_tcp_keepalive(&probes)?;
    }
    net::keep(stream)
}

/// Reads `--read` bytes of a longer message.
pub fn read_part(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let mut stream = net::accept(&listener)?;
    let mut part = vec![0; args.need("read")?];
    stream.read_exact(&mut part).context("read a part")?;
    net::keep(stream)
}

/// Reads the last bytes when the FIN is already behind them: the FIN goes with them, but no
/// read ever returned 0.
pub fn read_last(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let mut stream = net::accept(&listener)?;
    control::wait_peer_close(&stream)?;
    let length = stream.read(&mut [0; 256])?;
    ensure!(length == args.need::<usize>("read")?, "read {length} bytes");
    net::keep(stream)
}

/// Sees the end with MSG_PEEK alone, which consumes nothing.
pub fn peek_eof(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let stream = net::accept(&listener)?;
    let length = stream.peek(&mut [0; 16])?;
    ensure!(length == 0, "peeked {length} bytes");
    net::keep(stream)
}

/// Accepts in a thread with a name of its own; the process keeps its name.
pub fn thread_accept(args: &Args) -> Result<()> {
    let listener = net::listen(args)?;
    let acceptor = thread::Builder::new().name("acceptor".to_owned()).spawn(move || {
        let mut stream = net::accept(&listener)?;
        net::read_to_eof(&mut stream)?;
        anyhow::Ok(stream)
    })?;
    net::keep(acceptor.join().map_err(|_| anyhow!("the acceptor panicked"))??)
}

/// [`never_read`] under a name that attacks a terminal.
pub fn hostile_comm(args: &Args) -> Result<()> {
    prctl::set_name(HOSTILE)?;
    never_read(args)
}

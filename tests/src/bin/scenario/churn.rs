//! Many short connections, a few of which the server forgets to close.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use nix::unistd::gettid;
use socket2::{Domain, Socket, Type};
use tcptrace_tests::wait::patiently;

use crate::args::Args;
use crate::facts::say;
use crate::{control, net};

/// Neither side goes on for longer than this.
const LIMIT: Duration = Duration::from_secs(60);

struct Server {
    listener: TcpListener,
    total: u64,
    every: u64,
    taken: AtomicU64,
    kept: Mutex<Vec<OwnedFd>>,
}

/// Serves `--count` connections with `--threads` threads and keeps every `--every`-th open after
/// it has read the end.
pub fn server(args: &Args) -> Result<()> {
    let server = Server {
        listener: net::listen(args)?,
        total: args.need("count")?,
        every: args.need("every")?,
        taken: AtomicU64::new(0),
        kept: Mutex::default(),
    };
    in_threads(args.or("threads", 4)?, |_| server.serve())?;
    let kept = server.kept.into_inner().unwrap_or_else(PoisonError::into_inner);
    say("leaked", kept.len());
    control::keep(kept)
}

impl Server {
    fn serve(&self) -> Result<()> {
        say("worker_tid", gettid());
        loop {
            let number = self.taken.fetch_add(1, Ordering::Relaxed);
            if number >= self.total {
                return Ok(());
            }
            let (mut stream, _) = self.listener.accept()?;
            answer(&mut stream)?;
            if number.is_multiple_of(self.every) {
                self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(stream.into());
            }
        }
    }
}

fn answer(stream: &mut TcpStream) -> Result<()> {
    stream.set_read_timeout(Some(patiently(LIMIT)))?;
    let mut word = [0; 4];
    stream.read_exact(&mut word).context("read a request")?;
    stream.write_all(&word)?;
    net::drain(stream)
}

/// Makes `--count` connections to `--connect` with `--threads` threads, from the `--hosts` first
/// addresses of the network `--sources` in turn.
pub fn client(args: &Args) -> Result<()> {
    let server: SocketAddr = args.need("connect")?;
    let threads: u64 = args.or("threads", 4)?;
    let share = args.need::<u64>("count")? / threads;
    let (network, hosts): (Ipv4Addr, u64) = (args.need("sources")?, args.or("hosts", 200)?);
    let end = Instant::now() + patiently(LIMIT);
    in_threads(threads, |thread| {
        for number in 0..share {
            ensure!(Instant::now() < end, "too slow: {number} of {share} in {LIMIT:?}");
            let host = 1 + (thread * share + number) % hosts;
            ask(server, Ipv4Addr::from_bits(network.to_bits() + host as u32))?;
        }
        Ok(())
    })?;
    say("done", threads * share);
    control::wait_hangup()
}

fn ask(server: SocketAddr, source: Ipv4Addr) -> Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::new(IpAddr::V4(source), 0).into())?;
    socket.connect(&server.into()).with_context(|| format!("connect from {source}"))?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(patiently(LIMIT)))?;
    stream.write_all(b"ping")?;
    stream.read_exact(&mut [0; 4]).context("read an answer")
}

/// Runs the same work in several threads; the first error is the result.
fn in_threads(count: u64, work: impl Fn(u64) -> Result<()> + Sync) -> Result<()> {
    let work = &work;
    thread::scope(|scope| {
        let threads: Vec<_> = (0..count).map(|n| scope.spawn(move || work(n))).collect();
        let joined = threads.into_iter().map(|t| t.join().map_err(|_| anyhow!("panicked"))?);
        joined.collect()
    })
}

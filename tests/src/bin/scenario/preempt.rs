//! Two that share one CPU: a server that accepts and keeps, and one that comes in between.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use socket2::SockRef;

use crate::args::Args;
use crate::facts::{say, stage};
use crate::{control, net};

/// The intruder rests at least so long, and four times as long as it was at work: on a CPU of its
/// own priority nobody else would run.
const REST: Duration = Duration::from_micros(30);

/// Accepts `--count` connections in one place of the code and keeps them.
pub fn accept_many(args: &Args) -> Result<()> {
    share_cpu()?;
    control::raise_descriptor_limit()?;
    let listener = net::listen(args)?;
    let mut kept: Vec<OwnedFd> = Vec::new();
    for _ in 0..args.need("count")? {
        kept.push(listener.accept()?.0.into());
    }
    stage("accepted_all");
    control::keep(kept)
}

/// Connects to itself and accepts that, again and again, ahead of whoever runs.
pub fn intrude(args: &Args) -> Result<()> {
    share_cpu()?;
    let listener = net::listen(args)?;
    go_first()?;
    let address = listener.local_addr()?;
    let (begun, limit) = (Instant::now(), Duration::from_millis(args.need("for-ms")?));
    let mut count = 0_u64;
    while begun.elapsed() < limit {
        let at = Instant::now();
        once(&listener, address)?;
        count += 1;
        thread::sleep(REST.max(4 * at.elapsed()));
    }
    say("intrusions", count);
    control::keep(Vec::new())
}

fn once(listener: &TcpListener, address: SocketAddr) -> Result<()> {
    let client = TcpStream::connect(address)?;
    let server = listener.accept()?.0;
    // No TIME_WAIT for each of thousands.
    SockRef::from(&client).set_linger(Some(Duration::ZERO))?;
    drop(client);
    drop(server);
    Ok(())
}

fn share_cpu() -> Result<()> {
    let mut first = CpuSet::new();
    first.set(0)?;
    sched_setaffinity(Pid::from_raw(0), &first).context("stay on the first CPU")
}

/// A thread with this policy runs as soon as it may, instead of any normal one.
fn go_first() -> Result<()> {
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: a plain struct that lives over the call; 0 is this thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &priority) };
    if result != 0 {
        return Err(std::io::Error::last_os_error()).context("SCHED_FIFO");
    }
    Ok(())
}

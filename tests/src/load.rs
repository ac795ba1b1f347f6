//! Load: connections over loopback, opened, accepted and closed as fast as it goes, on every CPU.
//!
//! Each thread stays on its CPU, so that a tracer competes with the load and not with its
//! scheduling. Source addresses change every few connections, and the source port is chosen when
//! connecting (`IP_BIND_ADDRESS_NO_PORT`): no connection ever waits for a port that TIME_WAIT
//! still holds.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use socket2::{Domain, SockAddr, Socket, Type};

use crate::netns::NetPair;

/// State transitions of one such connection: five of the client, with its birth and TIME_WAIT, and
/// five of the server's socket (`tests/tests/stream.rs` has both sequences).
pub const TRANSITIONS: u64 = 10;

/// Connections from one source address.
const PER_SOURCE: u64 = 50;
/// Source addresses of a thread: it has a /12 of 127.0.0.0/8.
const SOURCES: u32 = 1 << 20;
/// So many TIME_WAIT sockets as never come; a namespace's own setting.
const TIME_WAITS: &str = "4000000";

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// Connections, closed on both sides.
    pub connections: u64,
    /// How long it took.
    pub time: Duration,
}

impl Done {
    /// Connections a second.
    pub fn rate(&self) -> f64 {
        self.connections as f64 / self.time.as_secs_f64()
    }
}

/// Counts connections while they are made.
#[derive(Debug)]
pub struct Meter {
    /// One for each CPU, so that none waits for another.
    counts: Vec<Count>,
    is_over: AtomicBool,
}

/// A cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Count(AtomicU64);

impl Meter {
    fn new(cpus: usize) -> Self {
        let counts = (0..cpus).map(|_| Count::default()).collect();
        Self { counts, is_over: AtomicBool::new(false) }
    }

    /// Connections until now, closed on both sides.
    pub fn connections(&self) -> u64 {
        self.counts.iter().map(|count| count.0.load(Ordering::Relaxed)).sum()
    }
}

/// Runs load for this time in a network namespace that is new and gone afterwards, with all its
/// TIME_WAIT sockets.
pub fn run(time: Duration, beside: impl FnOnce(&NetPair) -> Result<()>) -> Result<Done> {
    run_while(beside, |_| {
        thread::sleep(time);
        Ok(())
    })
}

/// The same for as long as `watch` takes.
pub fn run_while(
    beside: impl FnOnce(&NetPair) -> Result<()>,
    watch: impl FnOnce(&Meter) -> Result<()> + Send,
) -> Result<Done> {
    let pair = NetPair::new()?;
    beside(&pair)?;
    pair.a.inside(|| {
        // /proc/sys/net is that of the thread that looks (`net_ctl_header_lookup`).
        fs::write("/proc/sys/net/ipv4/tcp_max_tw_buckets", TIME_WAITS)?;
        on_all_cpus(watch)
    })
}

fn on_all_cpus(watch: impl FnOnce(&Meter) -> Result<()>) -> Result<Done> {
    let begun = Instant::now();
    let cpus = thread::available_parallelism()?.get();
    let meter = &Meter::new(cpus);
    thread::scope(|scope| {
        let work = |cpu| move || on_cpu(cpu, meter);
        let threads: Vec<_> = (0..cpus).map(|cpu| scope.spawn(work(cpu))).collect();
        let watched = watch(meter);
        meter.is_over.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a thread of the load panicked"))??;
        }
        watched
    })?;
    Ok(Done { connections: meter.connections(), time: begun.elapsed() })
}

fn on_cpu(cpu: usize, meter: &Meter) -> Result<()> {
    ensure!(cpu < 15, "the load has source addresses for 15 CPUs");
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)?;
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
    listener.listen(128)?;
    let to = listener.local_addr()?;
    let mut count = 0;
    while !meter.is_over.load(Ordering::Relaxed) {
        connect_and_close(&listener, &to, source(cpu as u32, count / PER_SOURCE))?;
        count += 1;
        meter.counts[cpu].0.store(count, Ordering::Relaxed);
    }
    Ok(())
}

fn source(cpu: u32, number: u64) -> SockAddr {
    let host = 2 + (number % u64::from(SOURCES - 4)) as u32;
    let address = (127 << 24) | ((cpu + 1) << 20) | host;
    SockAddr::from(SocketAddrV4::new(address.into(), 0))
}

fn connect_and_close(listener: &Socket, to: &SockAddr, from: SockAddr) -> Result<()> {
    let client = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    choose_port_late(&client)?;
    client.bind(&from).context("bind")?;
    client.connect(to).context("connect")?;
    let (server, _) = listener.accept().context("accept")?;
    drop(client);
    drop(server);
    Ok(())
}

fn choose_port_late(socket: &Socket) -> Result<()> {
    let one: libc::c_int = 1;
    // SAFETY: the value lives through the call and the size is its size.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const one).cast(),
            size_of_val(&one) as libc::socklen_t,
        )
    };
    nix::errno::Errno::result(done).context("IP_BIND_ADDRESS_NO_PORT")?;
    Ok(())
}

//! Closed sockets, which live on as mini-sockets in FIN_WAIT2 and TIME_WAIT: what `stream` says of
//! states that no tracepoint tells of.

use std::net::SocketAddr;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tcptrace_tests::clock::{CLOCK_SET, MILLI, monotonic_ns, wall_of};
use tcptrace_tests::host;
use tcptrace_tests::netns::{NetPair, Netns};
use tcptrace_tests::puppet::{Moment, Puppet};
use tcptrace_tests::stream::{Life, Stream, Which, time_of};
use tcptrace_tests::wait::{patience, until_within};

/// Coarseness of the bound: a jiffy at 100 a second, twice.
const JIFFIES: i64 = 20 * MILLI;

/// A connection that its client has closed and its server has not.
struct HalfClosed {
    server: Puppet,
    client: Puppet,
    /// Where the server listens.
    at: SocketAddr,
    /// When the client closed it.
    closed: Moment,
}

impl HalfClosed {
    fn new(pair: &NetPair) -> Result<Self> {
        let (mut server, mut client) = (Puppet::new(&pair.a)?, Puppet::new(&pair.b)?);
        let at = server.listen(SocketAddr::new(pair.a.v4.into(), 0), 16)?;
        client.connect(at)?;
        server.act("accept")?;
        let closed = client.act("close")?;
        Ok(Self { server, client, at, closed })
    }
}

/// The client closes, the server answers after a while.
fn closed_after(pair: &NetPair, stream: &mut Stream, pause: Duration) -> Result<(Life, i64, i64)> {
    let HalfClosed { mut server, client, at, closed } = HalfClosed::new(pair)?;
    sleep(pause);
    let answered = server.act("close")?;
    let asked = Which::of(&pair.b, "active")?.to(at);
    let life = stream.life_up_to(&asked, "TIME_WAIT")?;
    life.expect_carried_on("CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT")?;
    life.expect_opener(client.pid(), "puppet")?;
    // The FIN may have waited for its acknowledgement; the answer comes at once.
    Ok((life, answered.from - closed.to, answered.to - closed.from))
}

fn dwell(line: &Value, field: &str) -> Option<i64> {
    line[field].as_i64()
}

/// Where functions of the kernel cannot be hooked, it mostly moves the timer within its slot without a
/// word: then the time is known to the jiffy, and the line comes at once, not when TIME_WAIT ends. Where
/// the slot ends in between, a hook tells it exactly.
#[test]
fn a_fin_that_comes_soon() -> Result<()> {
    a_fin_after(Duration::from_millis(300))
}

/// The slot has ended, and the mini-socket is still one that is looked at now and then: whoever looks
/// while its timer is being moved reads the old time.
#[test]
fn a_fin_after_some_seconds() -> Result<()> {
    a_fin_after(Duration::from_millis(4500))
}

fn a_fin_after(pause: Duration) -> Result<()> {
    let pair = NetPair::new()?;
    let mut stream = Stream::of(&pair)?;
    let (life, least, most) = closed_after(&pair, &mut stream, pause)?;
    let line = life.leaving("FIN_WAIT2")?;
    let exact = dwell(line, "dwell_ns");
    let (told, slack) = match dwell(line, "dwell_max_ns") {
        Some(bound) => (bound, JIFFIES),
        None => (exact.context("neither exact nor a bound")?, 0),
    };
    ensure!(exact.is_some() || !host::hooks_functions()?, "a function tells it: {line}");
    let first = dwell(life.leaving("FIN_WAIT1")?, "dwell_ns").context("FIN_WAIT1")?;
    let range = least - first..=most + slack;
    ensure!(range.contains(&told), "{told} ns in FIN_WAIT2, not {range:?}: {line}");
    Ok(())
}

/// After a few seconds the timer moves to another slot, and a hook tells exactly when.
#[test]
fn a_fin_that_comes_late() -> Result<()> {
    let pair = NetPair::new()?;
    let mut stream = Stream::of(&pair)?;
    let (life, least, most) = closed_after(&pair, &mut stream, Duration::from_millis(5500))?;
    let line = life.leaving("FIN_WAIT2")?;
    let exact = dwell(line, "dwell_ns").with_context(|| format!("not exact: {line}"))?;
    let first = dwell(life.leaving("FIN_WAIT1")?, "dwell_ns").context("FIN_WAIT1")?;
    ensure!((least - first..=most).contains(&exact), "{exact} ns, not {least}..{most}");
    Ok(())
}

/// The peer never closes: FIN_WAIT2 times out.
#[test]
fn no_fin_at_all() -> Result<()> {
    let pair = NetPair::new()?;
    pair.b.set("net.ipv4.tcp_fin_timeout", "1")?;
    let mut stream = Stream::of(&pair)?;
    let own = HalfClosed::new(&pair)?;
    let life = stream.life(&Which::of(&pair.b, "active")?.to(own.at))?;
    life.expect("CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 CLOSE", "timeout")?;
    let line = life.leaving("FIN_WAIT2")?;
    let exact = dwell(line, "dwell_ns").with_context(|| format!("not exact: {line}"))?;
    // A timer runs out up to an eighth of its time late, and its jiffies are coarse.
    ensure!((900 * MILLI..=2500 * MILLI).contains(&exact), "{exact} ns in FIN_WAIT2: {line}");
    Ok(())
}

/// How long a socket was in TIME_WAIT, ns: exactly, or at least, where it is known to the jiffy when that
/// began.
fn in_time_wait(line: &Value) -> Result<(i64, i64)> {
    ensure!((&line["from"], &line["to"]) == (&"TIME_WAIT".into(), &"CLOSE".into()), "{line}");
    let (exact, least) = (dwell(line, "dwell_ns"), dwell(line, "dwell_min_ns"));
    let told = exact.or(least).with_context(|| format!("neither exact nor a bound: {line}"))?;
    ensure!(exact.is_some() || !host::hooks_functions()?, "a function tells it: {line}");
    Ok((told, if exact.is_some() { 0 } else { JIFFIES }))
}

/// The ends of a socket that are told: one.
fn ends_of(stream: &mut Stream, cookie: &Value) -> Result<Vec<Value>> {
    let is_end = |line: &Value| line["cookie"] == *cookie && line["to"] == "CLOSE";
    Ok(stream.so_far()?.into_iter().filter(is_end).collect())
}

/// A connection between the same ends puts an end to TIME_WAIT, maybe on a CPU where no timer moves for
/// long: it is told all the same, and once.
#[test]
fn ended_by_its_successor() -> Result<()> {
    let pair = NetPair::new()?;
    pair.b.set("net.ipv4.ip_local_port_range", "40000 40000")?;
    let mut stream = Stream::of(&pair)?;
    let mut server = Puppet::new(&pair.a)?;
    let at = server.listen(SocketAddr::new(pair.a.v4.into(), 0), 16)?;
    let mut client = Puppet::new(&pair.b)?;
    let from = client.connect(at)?;
    server.act("accept")?;
    server.act("close")?;
    sleep(Duration::from_millis(300));
    let entered = client.act("close")?;
    let asked = Which::of(&pair.a, "passive")?.to(from);
    let before = stream.life_up_to(&asked, "TIME_WAIT")?;
    sleep(Duration::from_millis(700));
    let cookie = &before.last()["cookie"];
    let again = Puppet::new(&pair.b)?.act(&format!("connect {at}"))?;
    until_within(Duration::from_secs(10), "the end of TIME_WAIT", || {
        Ok(ends_of(&mut stream, cookie)?.pop())
    })?;
    sleep(Duration::from_millis(1500));
    let ends = ends_of(&mut stream, cookie)?;
    let [line] = &ends[..] else { bail!("{} ends are told: {ends:?}", ends.len()) };
    let (told, slack) = in_time_wait(line)?;
    let range = again.from - entered.to - slack..=again.to - entered.from;
    ensure!(range.contains(&told), "{told} ns in TIME_WAIT, not {range:?}: {line}");
    Ok(())
}

/// How long the kernel keeps the one socket in TIME_WAIT yet, s.
fn seconds_left(ns: &Netns) -> Result<Option<u64>> {
    let output =
        Command::new("ss").args(["-N", ns.name(), "-Htano", "state", "time-wait"]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let Some((_, timer)) = text.split_once("timer:(timewait,") else { return Ok(None) };
    let timer = timer.split(',').next().unwrap_or_default();
    if timer.contains("min") {
        return Ok(Some(60));
    }
    Ok(timer.strip_suffix("sec").and_then(|seconds| seconds.parse().ok()))
}

/// Its last acknowledgement is lost, and the peer's FIN comes again, which begins the minute of TIME_WAIT
/// anew: that is no end. Then its namespace goes, which is.
#[test]
fn a_fin_that_comes_again() -> Result<()> {
    let pair = NetPair::new()?;
    let mut stream = Stream::of(&pair)?;
    let HalfClosed { mut server, client, at, .. } = HalfClosed::new(&pair)?;
    let nobody = ["neighbour", "replace", &at.ip().to_string(), "lladdr", "02:00:00:00:00:09"];
    pair.b.ip(&[&nobody[..], &["dev", "veth0", "nud", "permanent"]].concat())?;
    server.act("close")?;
    let asked = Which::of(&pair.b, "active")?.to(at);
    let life = stream.life_up_to(&asked, "TIME_WAIT")?;
    life.expect_carried_on("CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT")?;
    // Maybe known with the second FIN only, which came soon.
    let entered = time_of(life.last())?;
    // Beyond the slot of the timer, which is some seconds wide.
    sleep(Duration::from_millis(5500));
    until_within(Duration::from_secs(20), "another FIN", || {
        Ok(seconds_left(&pair.b)?.filter(|seconds| *seconds > 57))
    })?;
    let life = stream.life_up_to(&asked, "TIME_WAIT")?;
    ensure!(life.last()["to"] == "TIME_WAIT", "it has not ended: {life:?}");
    let before = monotonic_ns();
    drop((client, server, pair));
    let life = stream.life(&asked)?;
    let (told, slack) = in_time_wait(life.last())?;
    let least = wall_of(before) - entered - slack - CLOCK_SET;
    ensure!(told >= least, "{told} ns in TIME_WAIT, not {least} and more: {life:?}");
    Ok(())
}

/// A mini-socket that is older than the trace has no dwell, and is not somebody's.
#[test]
fn one_from_before_the_trace() -> Result<()> {
    let pair = NetPair::new()?;
    // It must outlive the start of the trace, which takes long on an emulated machine.
    let seconds = (8 * patience()).to_string();
    pair.b.set("net.ipv4.tcp_fin_timeout", &seconds)?;
    let own = HalfClosed::new(&pair)?;
    let mut stream = Stream::of(&pair)?;
    let netns = pair.b.inode()?;
    // Without a cookie, where nobody has asked for one while the socket lived.
    let line = until_within(Duration::from_secs(30), "its end", || {
        let lines = stream.so_far()?;
        Ok(lines.into_iter().find(|line| line["netns"] == netns && line["role"] == "unknown"))
    })?;
    let is_to = |port: u16, addr: &str| line["remote_port"] == port && line["remote_addr"] == addr;
    ensure!(is_to(own.at.port(), &own.at.ip().to_string()), "{line}");
    ensure!((&line["from"], &line["to"]) == (&"FIN_WAIT2".into(), &"CLOSE".into()), "{line}");
    for field in ["dwell_ns", "dwell_min_ns", "dwell_max_ns", "pid", "comm"] {
        ensure!(line[field].is_null(), "{field} cannot be known: {line}");
    }
    ensure!(line["end"] == "timeout", "{line}");
    Ok(())
}

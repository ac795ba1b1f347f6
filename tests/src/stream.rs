//! `tcptrace stream` while things happen, and what it says of one socket.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::clock;
use crate::netns::{NetPair, Netns};
use crate::puppet::Moment;
use crate::tool::{Finished, Running, command};
use crate::wait::until;

/// How far apart the tool's and the tests' idea of wall time may be, ns.
const CLOCK_SLACK: i64 = 5 * clock::MILLI;

/// A run that follows both namespaces of a pair.
pub struct Stream {
    running: Running,
}

impl Stream {
    /// Starts `stream -o json` for both ends of a pair and waits until it traces.
    pub fn of(pair: &NetPair) -> Result<Self> {
        let (a, b) = (pair.a.path().display().to_string(), pair.b.path().display().to_string());
        Self::with(&["--netns", &a, "--netns", &b])
    }

    /// Starts `stream -o json` with these options and waits until it traces.
    pub fn with(options: &[&str]) -> Result<Self> {
        let mut command = command(&["stream", "-o", "json"])?;
        command.args(options);
        let running = Running::start(command)?;
        running.wait_tracing()?;
        Ok(Self { running })
    }

    /// The run itself.
    pub fn running(&mut self) -> &mut Running {
        &mut self.running
    }

    /// The transitions so far.
    pub fn so_far(&mut self) -> Result<Vec<Value>> {
        let objects = self.running.objects_so_far()?.iter();
        Ok(objects.filter(|object| object["type"] == "transition").cloned().collect())
    }

    /// Waits until a socket has come to its end, and tells its life.
    pub fn life(&mut self, what: &Which<'_>) -> Result<Life> {
        self.life_up_to(what, "CLOSE")
    }

    /// Waits until a socket has come to a state, and tells its life so far.
    pub fn life_up_to(&mut self, what: &Which<'_>, state: &str) -> Result<Life> {
        let mut seen = Vec::new();
        let life = until(&format!("{what:?} in {state}"), || {
            seen = self.so_far()?;
            let life = Life::find(&seen, what)?;
            Ok(life.filter(|life| life.last()["to"] == state))
        });
        let lines = || seen.iter().map(|line| format!("{line}\n")).collect::<String>();
        life.with_context(|| format!("the stream:\n{}", lines()))
    }

    /// All of its output, when it has ended.
    pub fn finish_by_itself(self, limit: Duration) -> Result<Finished> {
        self.running.finish(limit)?.expect_code(0)
    }

    /// Ctrl-C, and all of its output.
    pub fn finish(self) -> Result<Finished> {
        self.running.interrupt()?.expect_code(0)
    }
}

/// Which socket is meant.
#[derive(Clone, Debug)]
pub struct Which<'a> {
    netns: u64,
    role: &'a str,
    /// Local end; a port of 0 is any.
    local: Option<SocketAddr>,
    /// Remote end; a port of 0 is any.
    remote: Option<SocketAddr>,
}

impl<'a> Which<'a> {
    /// The socket in `ns` that came to its connection as `role` says.
    pub fn of(ns: &Netns, role: &'a str) -> Result<Self> {
        Ok(Self { netns: ns.inode()?, role, local: None, remote: None })
    }

    /// The one with this local end.
    pub fn at(self, local: SocketAddr) -> Self {
        Self { local: Some(local), ..self }
    }

    /// The one with this remote end.
    pub fn to(self, remote: SocketAddr) -> Self {
        Self { remote: Some(remote), ..self }
    }

    fn fits(&self, line: &Value) -> bool {
        let end_fits = |wanted: Option<SocketAddr>, addr: &Value, port: &Value| {
            wanted.is_none_or(|wanted| {
                *addr == wanted.ip().to_canonical().to_string()
                    && (wanted.port() == 0 || *port == wanted.port())
            })
        };
        line["netns"] == self.netns
            && line["role"] == self.role
            && end_fits(self.local, &line["local_addr"], &line["local_port"])
            && end_fits(self.remote, &line["remote_addr"], &line["remote_port"])
    }
}

/// The transitions of one socket, and of the mini-socket that carries it on.
#[derive(Clone, Debug)]
pub struct Life {
    lines: Vec<Value>,
}

impl Life {
    /// The life of the socket, as far as it is told; `None`: nothing is.
    pub fn find(seen: &[Value], which: &Which<'_>) -> Result<Option<Self>> {
        let fitting = seen.iter().filter(|line| which.fits(line));
        let mut cookies: Vec<u64> = fitting.filter_map(|line| line["cookie"].as_u64()).collect();
        cookies.sort_unstable();
        cookies.dedup();
        let cookie = match cookies[..] {
            [] => return Ok(None),
            [cookie] => cookie,
            _ => bail!("{} sockets are {which:?}", cookies.len()),
        };
        let own = |line: &&Value| line["cookie"] == cookie;
        Ok(Some(Self { lines: seen.iter().filter(own).cloned().collect() }))
    }

    /// Every line of it.
    pub fn lines(&self) -> &[Value] {
        &self.lines
    }

    /// Its latest line.
    pub fn last(&self) -> &Value {
        self.lines.last().unwrap_or(&Value::Null)
    }

    /// The states that it went through, the one it began in first.
    pub fn states(&self) -> Vec<&str> {
        let first = self.lines.iter().take(1).map(|line| &line["from"]);
        let all = first.chain(self.lines.iter().map(|line| &line["to"]));
        all.filter_map(Value::as_str).collect()
    }

    /// Fails unless its states are these, from its birth on, and how it ended is this. What every
    /// life must be like is held as well.
    pub fn expect(&self, states: &str, end: &str) -> Result<&Self> {
        ensure!(self.last()["end"] == end, "wanted {end}: {}", self.last());
        self.expect_states(states)
    }

    /// As [`Self::expect`] for a socket that has not ended: a mini-socket carries it on.
    pub fn expect_carried_on(&self, states: &str) -> Result<&Self> {
        ensure!(self.last()["end"].is_null(), "no end yet: {}", self.last());
        ensure!(self.last()["mini_socket"] == true, "no mini-socket: {}", self.last());
        self.expect_states(states)
    }

    fn expect_states(&self, states: &str) -> Result<&Self> {
        let states: Vec<&str> = states.split_whitespace().collect();
        ensure!(self.states() == states, "wanted {states:?}: {self:#?}");
        self.check()?;
        Ok(self)
    }

    /// Each line begins where the one before ended, and its exact dwell is the time since then: so
    /// dwells add up to the lifetime. Nothing but the last line is an end.
    fn check(&self) -> Result<()> {
        for pair in self.lines.windows(2) {
            let [before, after] = pair else { continue };
            ensure!(before["to"] == after["from"], "a gap: {before} {after}");
            ensure!(before["end"].is_null(), "an end and then more: {before} {after}");
            let since = time_of(after)? - time_of(before)?;
            if let Some(dwell) = after["dwell_ns"].as_i64() {
                ensure!(dwell == since, "dwell {dwell}, but {since} went by: {before} {after}");
            }
        }
        // A birth has no dwell; all that comes after it has been seen from its beginning.
        let bounds = ["dwell_ns", "dwell_min_ns", "dwell_max_ns"];
        let is_unknown = |line: &&Value| bounds.iter().all(|bound| line[*bound].is_null());
        let unknown = self.lines.iter().filter(is_unknown).count();
        ensure!(unknown == 1, "{unknown} dwells are not known: {self:#?}");
        Ok(())
    }

    /// Fails unless everything after accept() or connect() names this opener, and nothing ever
    /// another one.
    pub fn expect_opener(&self, pid: u32, comm: &str) -> Result<&Self> {
        let known: Vec<_> = self.lines.iter().filter(|line| !line["pid"].is_null()).collect();
        for line in &known {
            ensure!(line["pid"] == pid && line["comm"] == comm, "not {comm}[{pid}]: {line}");
        }
        let last = self.lines.last().context("no line")?;
        ensure!(last["pid"] == pid, "the opener got lost: {last}");
        Ok(self)
    }

    /// Fails unless no line names an opener.
    pub fn expect_nobody(&self) -> Result<&Self> {
        for line in &self.lines {
            ensure!(line["pid"].is_null() && line["comm"].is_null(), "it was nobody's: {line}");
        }
        Ok(self)
    }

    /// Fails unless both ends are complete on every line; the local port may be missing before
    /// connect() has chosen it.
    pub fn expect_ends(&self, local: SocketAddr, remote: SocketAddr) -> Result<&Self> {
        for line in &self.lines {
            let early = line["to"] == "SYN_SENT";
            for (end, addr, port) in
                [(local, "local_addr", "local_port"), (remote, "remote_addr", "remote_port")]
            {
                ensure!(line[addr] == end.ip().to_canonical().to_string(), "{addr}: {line}");
                let unknown = early && line[port].is_null() && port == "local_port";
                ensure!(unknown || line[port] == end.port(), "{port}: {line}");
            }
        }
        Ok(self)
    }

    /// The line that leaves a state.
    pub fn leaving(&self, state: &str) -> Result<&Value> {
        let found = self.lines.iter().find(|line| line["from"] == state);
        found.with_context(|| format!("never left {state}: {self:#?}"))
    }

    /// Fails unless it was in a state from one step of the test to another.
    pub fn expect_dwell(&self, state: &str, entered: Moment, left: Moment) -> Result<&Self> {
        let dwell = self.leaving(state)?["dwell_ns"].as_i64().context("no exact dwell")?;
        // A FIN or its answer may take a moment on its way.
        let range = left.from - entered.to - 50 * clock::MILLI..=left.to - entered.from;
        ensure!(range.contains(&dwell), "{dwell} ns in {state}, not {range:?}");
        Ok(self)
    }

    /// Fails unless a state was left during a step of the test.
    pub fn expect_left(&self, state: &str, left: Moment) -> Result<&Self> {
        let at = time_of(self.leaving(state)?)?;
        let range = clock::wall_of(left.from) - CLOCK_SLACK..=clock::wall_of(left.to) + CLOCK_SLACK;
        ensure!(range.contains(&at), "{state} was left at {at}, not in {range:?}");
        Ok(self)
    }
}

/// The time of a line, ns since 1970.
pub fn time_of(line: &Value) -> Result<i64> {
    let text = line["time"].as_str().context("no time")?;
    let (ns, resolution) = clock::parse_rfc3339(text)?;
    ensure!(resolution == 1, "{text} has no ns");
    Ok(ns)
}

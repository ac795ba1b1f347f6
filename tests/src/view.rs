//! The truth about a staged situation, to hold reports against.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::case::{Bounds, Expect, Opener};
use crate::clock::{MILLI, SECOND, parse_rfc3339, wall_of};
use crate::situation::Staged;
use crate::tool::is_leak;
use crate::{process, scenario, schema, ss};

/// The kernel's age counters tick every 4 to 10 ms, and a report takes a moment to gather.
const SLACK: i64 = 40 * MILLI;
/// How long a FIN may travel on a busy host before the other side has it.
const TRAVEL: i64 = 400 * MILLI;

/// When the tool was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before it happened.
    Before,
    /// After it happened.
    After,
}

/// The truth about one staged situation, to hold reports against.
pub struct View<'a> {
    staged: &'a Staged<'a>,
    expect: Expect,
    when: When,
    /// The namespace of the leaking side.
    pub netns: u64,
    both: [u64; 2],
    /// Whether the run missed transitions, and said so.
    missed: bool,
}

impl<'a> View<'a> {
    /// Looks at what is there, for reports of a run that was started then.
    pub fn new(staged: &'a Staged<'a>, expect: Expect, when: When) -> Result<Self> {
        let both = staged.netns_inodes()?;
        Ok(Self { staged, expect, when, netns: staged.namespace().inode()?, both, missed: false })
    }

    /// What came in the midst of another transition may have passed the run by, where its summary counts
    /// that: an emulated machine takes so long for a program that it happens there.
    #[must_use]
    pub fn of_run(self, summary: &Value) -> Self {
        Self { missed: summary["lost"]["recursion"] != 0, ..self }
    }

    /// Whether a leak is about this socket. A dead socket may have lost its local port.
    pub fn is_about(&self, leak: &Value, (local, peer): (SocketAddr, SocketAddr)) -> bool {
        let port = &leak["local_port"];
        let same_port = *port == local.port() || (self.expect.kind == "dead" && port.is_null());
        is_leak(leak)
            && leak["netns"] == self.netns
            && same_port
            && leak["remote_port"] == peer.port()
    }

    /// Nothing else in the two namespaces was called a leak.
    pub fn check_no_other(&self, leaks: &[Value]) -> Result<()> {
        let sockets = self.staged.sockets()?;
        for leak in leaks.iter().filter(|leak| self.both.iter().any(|ns| leak["netns"] == *ns)) {
            let known = sockets.iter().any(|&socket| self.is_about(leak, socket));
            ensure!(known, "a ghost: {leak}");
        }
        Ok(())
    }

    /// Everything that one report says, against the truth. Names all that is wrong at once.
    pub fn check(&self, leak: &Value, socket: (SocketAddr, SocketAddr)) -> Result<()> {
        let checks = [
            ("fields", schema::check_leak(leak)),
            ("verdict", self.check_verdict(leak)),
            ("addresses", self.check_addresses(leak, socket)),
            ("cookie", self.check_cookie(leak, socket)),
            ("opener", self.check_opener(leak)),
            ("holders", self.check_holders(leak)),
            ("age", self.check_age(leak)),
            ("eof", self.check_eof(leak)),
            ("listener", self.check_listener(leak)),
        ];
        let wrong = checks.into_iter().filter_map(|(name, result)| Some((name, result.err()?)));
        let wrong: Vec<_> = wrong.map(|(name, error)| format!("\n  {name}: {error:#}")).collect();
        ensure!(wrong.is_empty(), "{}\nin {:#}", wrong.concat(), brief(leak));
        Ok(())
    }

    fn check_verdict(&self, leak: &Value) -> Result<()> {
        let cause = match self.when {
            When::Before => self.expect.before,
            When::After => self.expect.after,
        };
        same("kind", &leak["kind"], &self.expect.kind.into())?;
        same("cause", &leak["cause"], &cause.into())?;
        let role_unknown = self.when == When::After && leak["role"] == "unknown";
        if !role_unknown {
            same("role", &leak["role"], &self.expect.role.into())?;
        }
        if let Some(unread) = self.expect.unread {
            same("unread_bytes", &leak["unread_bytes"], &unread.into())?;
        }
        if cause == "send-blocked" {
            ensure!(leak["unsent_bytes"].as_u64() > Some(0), "nothing unsent");
        }
        let traced = leak["open_stack"]["status"] != "not-traced";
        ensure!(!(traced && self.when == When::After), "a stack that nobody traced");
        Ok(())
    }

    fn check_addresses(&self, leak: &Value, socket: (SocketAddr, SocketAddr)) -> Result<()> {
        let (local, peer) = socket;
        let lost = self.expect.kind == "dead" && self.when == When::After;
        if !(lost && leak["local_port"].is_null()) {
            same("local_port", &leak["local_port"], &local.port().into())?;
        }
        for (field, address) in [("local_addr", local), ("remote_addr", peer)] {
            if !(lost && leak[field].is_null()) {
                let got: IpAddr = text(&leak[field])?.parse()?;
                ensure!(got == address.ip(), "{field} is {got}, not {}", address.ip());
            }
        }
        Ok(())
    }

    /// Against `ss`; a dead socket is not there to compare with.
    fn check_cookie(&self, leak: &Value, (local, peer): (SocketAddr, SocketAddr)) -> Result<()> {
        if self.expect.kind == "dead" {
            return Ok(());
        }
        let all = ss::close_wait(self.staged.namespace())?;
        let mine = all.values().find(|s| (s.local, s.peer) == (Some(local), Some(peer)));
        let mine = mine.context("ss does not know it")?;
        let got = cookie(leak)?;
        ensure!(got == mine.cookie, "{got}, but ss says {}", mine.cookie);
        Ok(())
    }

    fn check_opener(&self, leak: &Value) -> Result<()> {
        let opener = &leak["opener"];
        let rule = match self.when {
            When::Before => self.expect.opener,
            When::After => Opener::Nobody,
        };
        match rule {
            Opener::Nobody => same("opener", opener, &Value::Null),
            Opener::ToldOrNobody if opener.is_null() => Ok(()),
            Opener::ToldOrNobody | Opener::Told => self.check_opener_told(opener),
        }
    }

    fn check_opener_told(&self, opener: &Value) -> Result<()> {
        let told = self.staged.leaker();
        let ticks: i64 = told.parsed("opener_start")?;
        same("pid", &opener["pid"], &told.parsed::<u32>("opener_pid")?.into())?;
        same("tid", &opener["tid"], &told.parsed::<u32>("opener_tid")?.into())?;
        same("comm", &opener["comm"], &told.fact("opener_comm")?.into())?;
        let start = opener["start_time_ns"].as_i64().context("no start time")?;
        let late = start - ticks * (SECOND / 100);
        ensure!((0..SECOND / 100).contains(&late), "started {start} ns, {ticks} ticks");
        // These two are in /proc alone, and the process may be gone, its pid another's.
        let gone =
            process::start_ticks(told.parsed("opener_pid")?).ok() != u64::try_from(ticks).ok();
        if !(gone && opener["uid"].is_null()) {
            same("uid", &opener["uid"], &0.into())?;
        }
        if gone && opener["exe"].is_null() {
            return Ok(());
        }
        same("exe", &opener["exe"], &scenario::executable()?.display().to_string().into())
    }

    fn check_holders(&self, leak: &Value) -> Result<()> {
        let told: BTreeSet<_> = self.staged.holders()?.into_iter().collect();
        let mut got = BTreeSet::new();
        for holder in leak["holders"].as_array().context("no list")? {
            let pid = u32::try_from(holder["pid"].as_u64().context("no pid")?)?;
            for fd in holder["fds"].as_array().context("no fds")? {
                got.insert((pid, i32::try_from(fd.as_i64().context("no fd")?)?));
            }
            check_identity(holder, pid)?;
        }
        ensure!(got == told, "{got:?}, but it is {told:?} (pid, fd)");
        Ok(())
    }

    /// The moment of entry that the report implies, against the moments that were noted.
    fn check_age(&self, leak: &Value) -> Result<()> {
        let (from, to) = self.staged.entered()?;
        let (from, to) = (wall_of(from) - SLACK, wall_of(to) + TRAVEL);
        let (now, coarse) = parse_rfc3339(text(&leak["time"])?)?;
        let now_to = now + coarse;
        let exact = leak["age_exact"].as_bool().context("age_exact is not a bool")?;
        let Some(age) = leak["age_ns"].as_i64() else {
            let allowed = self.expect.bounds == Bounds::Optional && !self.saw_all();
            ensure!(allowed, "no age");
            return Ok(());
        };
        ensure!(age > 0 || self.expect.bounds == Bounds::Loose, "an age of {age}");
        ensure!(now_to - age >= from, "{} ms too old", (from - now_to + age) / MILLI);
        let must_be_tight = self.expect.bounds == Bounds::Tight || exact;
        let young = now - age - to;
        ensure!(!must_be_tight || young <= 0, "{} ms too young", young / MILLI);
        if self.saw_all() {
            ensure!(exact, "the entry was traced, so the age is exact");
            return same("age_max_ns", &leak["age_max_ns"], &Value::Null);
        }
        if exact {
            return Ok(());
        }
        self.check_age_max(&leak["age_max_ns"], age, (now, now_to), to)
    }

    fn saw_all(&self) -> bool {
        self.when == When::Before && !self.missed
    }

    fn check_age_max(&self, max: &Value, age: i64, now: (i64, i64), entered: i64) -> Result<()> {
        let Some(max) = max.as_i64() else {
            ensure!(self.expect.bounds == Bounds::Optional, "no upper bound");
            return Ok(());
        };
        let connecting = wall_of(self.staged.client.parsed("connecting_at")?) - SLACK;
        ensure!(max >= age, "the bounds are the wrong way round");
        ensure!(now.0 - max <= entered, "the upper bound is below the truth");
        ensure!(now.1 - max >= connecting, "the upper bound is older than the connection");
        Ok(())
    }

    fn check_eof(&self, leak: &Value) -> Result<()> {
        let eof = &leak["eof"];
        if !(self.expect.witness && self.when == When::Before) {
            return same("eof", eof, &Value::Null);
        }
        let told = self.staged.leaker();
        same("pid", &eof["pid"], &told.parsed::<u32>("eof_pid")?.into())?;
        same("tid", &eof["tid"], &told.parsed::<u32>("eof_tid")?.into())?;
        let (at, coarse) = parse_rfc3339(text(&eof["time"])?)?;
        let from = wall_of(self.staged.closer().parsed("closing_at")?) - SLACK;
        let to = wall_of(told.parsed("eof_at")?) + SLACK;
        ensure!(from <= at + coarse && at <= to, "read at {at}, not in {from}..{to}");
        Ok(())
    }

    /// The listener is named where it is to blame, with its queue and who holds it.
    fn check_listener(&self, leak: &Value) -> Result<()> {
        if leak["cause"] != "never-accepted" {
            return Ok(());
        }
        let (listener, server) = (&leak["listener"], &self.staged.server);
        let option = |name: &str| {
            let words = self.staged.situation.server;
            words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1))
        };
        let backlog: u64 = option("--backlog").context("no --backlog")?.parse()?;
        same("backlog", &listener["backlog"], &self.staged.sockets()?.len().into())?;
        same("backlog_max", &listener["backlog_max"], &backlog.into())?;
        same("local_port", &listener["local_port"], &server.parsed::<u16>("port")?.into())?;
        let [holder] = &listener["holders"].as_array().context("no holders")?[..] else {
            bail!("the listener has one holder: {listener}");
        };
        same("holder", &holder["pid"], &server.pid().into())?;
        same("fds", &holder["fds"], &vec![server.parsed::<i32>("listener_fd")?].into())?;
        check_identity(holder, server.pid())
    }
}

/// An object as a failure shows it: of each frame of a stack its function alone.
fn brief(object: &Value) -> Value {
    match object {
        Value::Array(items) => items.iter().map(brief).collect(),
        Value::Object(fields) if fields.contains_key("function") => fields["function"].clone(),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, own)| (name.clone(), brief(own))).collect())
        }
        other => other.clone(),
    }
}

/// Name, executable and user of a process that is there now.
pub fn check_identity(named: &Value, pid: u32) -> Result<()> {
    same("comm", &named["comm"], &process::comm(pid)?.into())?;
    same("exe", &named["exe"], &process::exe(pid)?.display().to_string().into())?;
    same("uid", &named["uid"], &0.into())
}

/// The cookie of a `leak`, whether printed as a number or as decimal digits.
pub fn cookie(leak: &Value) -> Result<u64> {
    let cookie = &leak["cookie"];
    let digits = || cookie.as_str().and_then(|digits| digits.parse().ok());
    cookie.as_u64().or_else(digits).with_context(|| format!("cookie {cookie}"))
}

fn same(what: &str, got: &Value, wanted: &Value) -> Result<()> {
    ensure!(got == wanted, "{what} is {got}, not {wanted}");
    Ok(())
}

fn text(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("not a text: {value}"))
}

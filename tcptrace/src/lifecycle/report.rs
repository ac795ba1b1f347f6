//! What the outputs get: finished data, nothing left to look up.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use super::age::Age;
use super::cause::{Cause, Kind};
use super::socket::{Endpoint, Endpoints, Role};
use super::stack::Stack;

/// A process as it was named when the report was made. `None`: it could not be learned, usually
/// because the process is gone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Party {
    /// Process id.
    pub pid: u32,
    /// Thread that acted, where one did.
    pub tid: Option<u32>,
    /// Name of the thread-group leader, raw bytes made into text; not escaped yet.
    pub comm: String,
    /// Path of the executable as the process itself sees it.
    pub exe: Option<String>,
    /// What the process runs in the words of its command line: script, jar or main class.
    pub label: Option<String>,
    /// Effective user id.
    pub uid: Option<u32>,
    /// Start on the boot clock, ns: with `pid` the identity of the process.
    pub start_time_ns: u64,
    /// Path in the cgroup hierarchy.
    pub cgroup: Option<String>,
    /// Container id, where the cgroup path shows one.
    pub container: Option<String>,
    /// Its process is stopped by a signal or a debugger: state T or t in `/proc/PID/stat`.
    pub stopped: bool,
    /// Its process has ended since; the id may be another's by now.
    pub gone: bool,
}

/// A process with open descriptors for a socket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The process; its `tid` is `None`.
    pub party: Party,
    /// Descriptor numbers, ascending.
    pub fds: Vec<u32>,
    /// Open descriptors of the process.
    pub fd_used: Option<u64>,
    /// Soft limit of open descriptors; `None`: unknown, `u64::MAX`: unlimited.
    pub fd_limit: Option<u64>,
}

/// The listener in whose accept queue a socket waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens.
    pub local: Endpoint,
    /// Connections that wait for accept().
    pub backlog: u32,
    /// Limit of the queue.
    pub backlog_max: u32,
    /// Time since accept() last succeeded, ns; a lower bound where none was seen.
    pub last_accept: Age,
    /// Why accept() fails, where it was called and ran out of something: `EMFILE`, `ENFILE`,
    /// `ENOMEM`, `ENOBUFS`.
    pub accept_error: Option<&'static str>,
    /// Who called listen(), where that was traced.
    pub opener: Option<Party>,
    /// Where listen() was called.
    pub listen_stack: Arc<Stack>,
    /// Who has descriptors for it.
    pub holders: Vec<Holder>,
}

/// The read that delivered end-of-file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Eof {
    /// Wall-clock time, ns since 1970.
    pub time_ns: u64,
    /// Who read.
    pub reader: Party,
    /// Where.
    pub stack: Arc<Stack>,
}

/// One leaked socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// What is wrong.
    pub kind: Kind,
    /// The verdict.
    pub cause: Cause,
    /// Whatever else applies, in order of precedence, without the verdict.
    pub evidence: Vec<Cause>,
    /// Socket cookie.
    pub cookie: u64,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Both ends.
    pub ends: Endpoints,
    /// Who connected.
    pub role: Role,
    /// When the kernel was asked about it, ns since 1970.
    pub seen_ns: u64,
    /// How long it had leaked by then.
    pub age: Age,
    /// Bytes that the application has not read; `None` for a dead socket.
    pub unread_bytes: Option<u32>,
    /// Bytes that the peer has not acknowledged; `None` for a dead socket.
    pub unsent_bytes: Option<u32>,
    /// Whether `SO_KEEPALIVE` is on.
    pub keepalive: bool,
    /// Who called connect() or accept(); `None`: not traced.
    pub opener: Option<Party>,
    /// Where connect() or accept() was called.
    pub open_stack: Arc<Stack>,
    /// Who holds it now.
    pub holders: Vec<Holder>,
    /// For `never-accepted`.
    pub listener: Option<Listener>,
    /// Local port, where a listener on it shows that this is the server's side.
    pub service_port: Option<u16>,
    /// The read that delivered end-of-file; `None`: not seen.
    pub eof: Option<Eof>,
}

impl Leak {
    /// The call that is to blame for the socket's being there: connect() or accept(), and for one
    /// that was never accepted the listen() of its listener.
    #[must_use]
    pub fn origin(&self) -> &Arc<Stack> {
        match &self.listener {
            Some(listener) if self.cause == Cause::NeverAccepted => &listener.listen_stack,
            _ => &self.open_stack,
        }
    }

    /// Who made that call; `None`: not traced.
    #[must_use]
    pub fn origin_party(&self) -> Option<&Party> {
        match &self.listener {
            Some(listener) if self.cause == Cause::NeverAccepted => listener.opener.as_ref(),
            _ => self.opener.as_ref(),
        }
    }
}

/// How fast a number grows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    /// Sockets a minute; negative when it shrinks.
    pub per_minute: f64,
    /// `false`: estimated from the ages in one report, `true`: difference between reports.
    pub observed: bool,
}

/// Open descriptors of a process against its limit.
#[derive(Clone, Debug, PartialEq)]
pub struct FdUse {
    /// Process id.
    pub pid: u32,
    /// Open descriptors.
    pub used: u64,
    /// Soft limit; `u64::MAX`: unlimited.
    pub limit: u64,
    /// Time until the limit is hit at the present rate, ns; `None`: not growing, or no limit.
    pub exhausted_in_ns: Option<u64>,
}

/// Leaks of one kind: one block of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Stable key: the same in the next report and after a restart of the tool.
    pub key: String,
    /// Verdict of its leaks; they all have it.
    pub cause: Cause,
    /// Who is to blame: holders, for `never-accepted` the listener's, else the opener. Empty: no
    /// process is known.
    pub blamed: Vec<Holder>,
    /// What the leaks are grouped by, when it is not the process: `remote`, `10.0.0.7` …
    pub by: Option<(String, String)>,
    /// Its leaks, oldest first.
    pub leaks: Vec<Leak>,
    /// Rate; `None`: too little is known to say.
    pub growth: Option<Growth>,
    /// Descriptors of the first blamed process.
    pub fds: Option<FdUse>,
    /// Local end shared by all leaks, the address `None` where it differs.
    pub local: Endpoint,
    /// Remote addresses and how many leaks each has, most first.
    pub peers: Vec<(Option<IpAddr>, usize)>,
}

/// Something that this host lacks, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Degradation {
    /// Frozen token.
    pub token: Cow<'static, str>,
    /// What the user loses and the remedy, one line.
    pub sentence: String,
}

/// One report of `leaks`.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// When the kernel was asked, wall clock, ns since 1970.
    pub checked_at_ns: u64,
    /// How long the trace has run, ns.
    pub traced_ns: u64,
    /// `--min-age`, ns.
    pub min_age_ns: u64,
    /// Groups of leaks, most first, then oldest first.
    pub groups: Vec<Group>,
    /// Half-closed sockets: listed apart, not counted as leaks; grouped alike.
    pub half_closed: Vec<Group>,
    /// Sockets in CLOSE_WAIT or dead that were looked at, whatever their age.
    pub sockets_checked: u64,
    /// Network namespaces whose socket tables were read.
    pub namespaces: u64,
    /// Transitions that the kernel side has seen.
    pub events: u64,
    /// Sockets that left CLOSE_WAIT late (after `min_age`) since the trace began.
    pub closed_late: u64,
    /// What was lost: frozen token and count, zero counts included.
    pub lost: Vec<(Cow<'static, str>, u64)>,
    /// What this host lacks.
    pub degradations: Vec<Degradation>,
    /// Kernel release.
    pub kernel: String,
}

impl Report {
    /// How many sockets leak; half-closed ones do not count.
    #[must_use]
    pub fn leaks(&self) -> usize {
        self.groups.iter().map(|group| group.leaks.len()).sum()
    }

    /// How many things were lost, of all kinds.
    #[must_use]
    pub fn lost_total(&self) -> u64 {
        self.lost.iter().map(|(_, count)| count).sum()
    }
}

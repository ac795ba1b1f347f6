//! The objects, field by field, in the order of the contract. Fields are only ever added.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use crate::lifecycle::report;
use crate::output::units::rfc3339;

use super::stack::Stack;

/// Version of the objects; it changes when a field changes its meaning or goes.
const VERSION: u32 = 1;

/// One leaked socket.
#[derive(Serialize)]
pub struct Leak<'a> {
    r#type: &'static str,
    v: u32,
    time: String,
    kind: &'static str,
    cause: &'static str,
    evidence: Vec<&'static str>,
    cookie: u64,
    netns: u32,
    family: Option<&'static str>,
    protocol: &'static str,
    local_addr: Option<IpAddr>,
    local_port: Option<u16>,
    remote_addr: Option<IpAddr>,
    remote_port: Option<u16>,
    role: &'static str,
    age_ns: Option<u64>,
    age_exact: bool,
    age_max_ns: Option<u64>,
    unread_bytes: Option<u32>,
    unsent_bytes: Option<u32>,
    keepalive: bool,
    opener: Option<Opener<'a>>,
    holders: Vec<Holder<'a>>,
    listener: Option<Listener<'a>>,
    open_stack: Stack<'a>,
    eof: Option<Eof<'a>>,
    group: &'a str,
}

/// Who called connect(), accept() or listen().
#[derive(Serialize)]
struct Opener<'a> {
    pid: u32,
    tid: Option<u32>,
    comm: &'a str,
    exe: Option<&'a str>,
    uid: Option<u32>,
    start_time_ns: u64,
    cgroup: Option<&'a str>,
    container: Option<&'a str>,
    label: Option<&'a str>,
    stopped: bool,
    gone: bool,
}

/// A process with open descriptors.
#[derive(Serialize)]
struct Holder<'a> {
    pid: u32,
    comm: &'a str,
    exe: Option<&'a str>,
    uid: Option<u32>,
    fds: &'a [u32],
    fd_limit: Option<u64>,
    fd_used: Option<u64>,
    cgroup: Option<&'a str>,
    container: Option<&'a str>,
    label: Option<&'a str>,
    start_time_ns: u64,
    stopped: bool,
    gone: bool,
}

/// The listener in whose accept queue a socket waits.
#[derive(Serialize)]
struct Listener<'a> {
    local_addr: Option<IpAddr>,
    local_port: Option<u16>,
    backlog: u32,
    backlog_max: u32,
    holders: Vec<Holder<'a>>,
    last_accept_ns: Option<u64>,
    last_accept_exact: bool,
    accept_error: Option<&'static str>,
    opener: Option<Opener<'a>>,
    stack: Stack<'a>,
}

/// The read that delivered end-of-file.
#[derive(Serialize)]
struct Eof<'a> {
    time: String,
    pid: u32,
    tid: Option<u32>,
    stack: Stack<'a>,
    comm: &'a str,
}

/// Leaks that belong together.
#[derive(Serialize)]
pub struct Group<'a> {
    r#type: &'static str,
    v: u32,
    time: String,
    group: &'a str,
    cause: &'static str,
    sockets: usize,
    oldest_ns: Option<u64>,
    growth_per_min: Option<f64>,
    growth_observed: bool,
    fds: Option<Fds>,
}

/// Descriptors of a group's process.
#[derive(Serialize)]
struct Fds {
    pid: u32,
    used: u64,
    limit: Option<u64>,
    exhausted_in_ns: Option<u64>,
}

/// The last line of a report.
#[derive(Serialize)]
pub struct Summary<'a> {
    r#type: &'static str,
    v: u32,
    time: String,
    command: &'static str,
    kernel: &'a str,
    traced_ns: u64,
    leaks: usize,
    half_closed: usize,
    sockets_checked: u64,
    namespaces: u64,
    events: u64,
    closed_late: u64,
    lost: BTreeMap<&'a str, u64>,
    degradations: Vec<&'a str>,
    checked_at: String,
}

impl<'a> Leak<'a> {
    /// `leak` of `group`.
    pub fn new(group: &'a report::Group, leak: &'a report::Leak) -> Self {
        Self {
            r#type: "leak",
            v: VERSION,
            time: rfc3339(leak.seen_ns),
            kind: leak.kind.token(),
            cause: leak.cause.token(),
            evidence: leak.evidence.iter().map(|cause| cause.token()).collect(),
            cookie: leak.cookie,
            netns: leak.netns,
            family: leak.ends.family(),
            protocol: "tcp",
            local_addr: leak.ends.local.addr,
            local_port: leak.ends.local.port,
            remote_addr: leak.ends.remote.addr,
            remote_port: leak.ends.remote.port,
            role: leak.role.token(),
            age_ns: leak.age.at_least(),
            age_exact: leak.age.is_exact(),
            age_max_ns: leak.age.at_most(),
            unread_bytes: leak.unread_bytes,
            unsent_bytes: leak.unsent_bytes,
            keepalive: leak.keepalive,
            opener: leak.opener.as_ref().map(Opener::new),
            holders: leak.holders.iter().map(Holder::new).collect(),
            listener: leak.listener.as_ref().map(Listener::new),
            open_stack: Stack::new(&leak.open_stack),
            eof: leak.eof.as_ref().map(Eof::new),
            group: &group.key,
        }
    }
}

impl<'a> Opener<'a> {
    fn new(party: &'a report::Party) -> Self {
        Self {
            pid: party.pid,
            tid: party.tid,
            comm: &party.comm,
            exe: party.exe.as_deref(),
            uid: party.uid,
            start_time_ns: party.start_time_ns,
            cgroup: party.cgroup.as_deref(),
            container: party.container.as_deref(),
            label: party.label.as_deref(),
            stopped: party.stopped,
            gone: party.gone,
        }
    }
}

impl<'a> Holder<'a> {
    fn new(holder: &'a report::Holder) -> Self {
        let party = &holder.party;
        Self {
            pid: party.pid,
            comm: &party.comm,
            exe: party.exe.as_deref(),
            uid: party.uid,
            fds: &holder.fds,
            fd_limit: limited(holder.fd_limit),
            fd_used: holder.fd_used,
            cgroup: party.cgroup.as_deref(),
            container: party.container.as_deref(),
            label: party.label.as_deref(),
            start_time_ns: party.start_time_ns,
            stopped: party.stopped,
            gone: party.gone,
        }
    }
}

/// No limit is `null`: a number that no process can reach would be none.
fn limited(limit: Option<u64>) -> Option<u64> {
    limit.filter(|limit| *limit != u64::MAX)
}

impl<'a> Listener<'a> {
    fn new(listener: &'a report::Listener) -> Self {
        Self {
            local_addr: listener.local.addr,
            local_port: listener.local.port,
            backlog: listener.backlog,
            backlog_max: listener.backlog_max,
            holders: listener.holders.iter().map(Holder::new).collect(),
            last_accept_ns: listener.last_accept.at_least(),
            last_accept_exact: listener.last_accept.is_exact(),
            accept_error: listener.accept_error,
            opener: listener.opener.as_ref().map(Opener::new),
            stack: Stack::new(&listener.listen_stack),
        }
    }
}

impl<'a> Eof<'a> {
    fn new(eof: &'a report::Eof) -> Self {
        Self {
            time: rfc3339(eof.time_ns),
            pid: eof.reader.pid,
            tid: eof.reader.tid,
            stack: Stack::new(&eof.stack),
            comm: &eof.reader.comm,
        }
    }
}

impl<'a> Group<'a> {
    /// `group` of `report`.
    pub fn new(report: &report::Report, group: &'a report::Group) -> Self {
        Self {
            r#type: "group",
            v: VERSION,
            time: rfc3339(report.checked_at_ns),
            group: &group.key,
            cause: group.cause.token(),
            sockets: group.leaks.len(),
            oldest_ns: group.leaks.iter().filter_map(|leak| leak.age.at_least()).max(),
            growth_per_min: group.growth.map(|growth| growth.per_minute),
            growth_observed: group.growth.is_some_and(|growth| growth.observed),
            fds: group.fds.as_ref().map(Fds::new),
        }
    }
}

impl Fds {
    fn new(fds: &report::FdUse) -> Self {
        Self {
            pid: fds.pid,
            used: fds.used,
            limit: limited(Some(fds.limit)),
            exhausted_in_ns: fds.exhausted_in_ns,
        }
    }
}

/// Counts by reason; a reason that comes twice is counted together.
fn lost<'a>(counts: &'a [(Cow<'static, str>, u64)]) -> BTreeMap<&'a str, u64> {
    let mut sums = BTreeMap::new();
    for (reason, count) in counts {
        *sums.entry(reason.as_ref()).or_insert(0) += count;
    }
    sums
}

impl<'a> Summary<'a> {
    /// What `report` amounts to.
    pub fn new(report: &'a report::Report) -> Self {
        Self {
            r#type: "summary",
            v: VERSION,
            time: rfc3339(report.checked_at_ns),
            command: "leaks",
            kernel: &report.kernel,
            traced_ns: report.traced_ns,
            leaks: report.leaks(),
            half_closed: report.half_closed.iter().map(|group| group.leaks.len()).sum(),
            sockets_checked: report.sockets_checked,
            namespaces: report.namespaces,
            events: report.events,
            closed_late: report.closed_late,
            lost: lost(&report.lost),
            degradations: report.degradations.iter().map(|lack| lack.token.as_ref()).collect(),
            checked_at: rfc3339(report.checked_at_ns),
        }
    }
}

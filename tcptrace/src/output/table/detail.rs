//! Lines below a group: where, to whom, by whom.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::style::Style;
use super::{name, paint};
use crate::lifecycle::cause::Cause;
use crate::lifecycle::report::{Group, Leak, Listener, Party, Report};
use crate::lifecycle::socket::{Endpoint, Role};
use crate::output::{cell, units};

const INDENT: &str = "        ";
/// Items of a list that are shown; the rest is counted.
const LIST_MAX: usize = 8;

/// Whether the leaks of a report are in more than one network namespace.
pub fn has_many_namespaces(report: &Report) -> bool {
    let groups = report.groups.iter().chain(&report.half_closed);
    let spaces: BTreeSet<u32> =
        groups.flat_map(|group| &group.leaks).map(|leak| leak.netns).collect();
    spaces.len() > 1
}

/// The sentence for people about a cause.
pub fn sentence(cause: Cause, style: &Style) -> Vec<String> {
    let words: Vec<String> = cause.sentence().split_whitespace().map(str::to_owned).collect();
    let width = style.width.saturating_sub(INDENT.len());
    let lines = cell::flow(&words, " ", width);
    lines.iter().map(|line| format!("{INDENT}{}", paint::faint(line, style.color))).collect()
}

/// All details; `moved` is what did not fit into the group's own line.
pub fn lines(group: &Group, moved: &[String], namespaces: bool, style: &Style) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend((!moved.is_empty()).then(|| moved.join(" ")));
    lines.extend(place(group));
    lines.extend(processes(group));
    lines.extend(openers(group));
    lines.extend(descriptors(group));
    lines.extend(bytes(group));
    lines.extend(end_of_file(group));
    lines.extend(evidence(group));
    lines.extend(container(group));
    lines.extend(namespaces.then(|| netns(group)));
    let width = style.width.saturating_sub(INDENT.len());
    lines.iter().map(|line| format!("{INDENT}{}", cell::cut(line, width))).collect()
}

/// Where the sockets are: the listener that they wait at, or both ends.
fn place(group: &Group) -> Vec<String> {
    let listeners: BTreeMap<Endpoint, &Listener> = group
        .leaks
        .iter()
        .filter_map(|leak| leak.listener.as_ref())
        .map(|at| (at.local, at))
        .collect();
    if listeners.is_empty() {
        return vec![format!("{} {} {}", local(group), arrow(group), peers(group))];
    }
    let mut lines: Vec<String> =
        listeners.values().take(LIST_MAX).map(|listener| waiting_at(listener)).collect();
    lines.push(format!("peers {}", peers(group)));
    lines
}

fn waiting_at(listener: &Listener) -> String {
    let (local, used, max) = (listener.local, listener.backlog, listener.backlog_max);
    let idle = match listener.last_accept.at_least() {
        None | Some(0) => String::new(),
        Some(_) => format!(", no accept() for {}", units::age(listener.last_accept)),
    };
    format!("listener {local}, backlog {used}/{max}{idle}")
}

/// The local end; `*` for what differs between the sockets, `?` for what the kernel has forgotten.
fn local(group: &Group) -> String {
    let all = |known: fn(&Leak) -> bool| group.leaks.iter().any(known);
    let none = |varies: bool| if varies { "*" } else { "?" };
    let addr = match group.local.addr {
        Some(addr) => address(addr),
        None => none(all(|leak| leak.ends.local.addr.is_some())).to_owned(),
    };
    match group.local.port {
        Some(port) => format!("{addr}:{port}"),
        None => format!("{addr}:{}", none(all(|leak| leak.ends.local.port.is_some()))),
    }
}

fn address(addr: IpAddr) -> String {
    match addr {
        IpAddr::V4(addr) => addr.to_string(),
        IpAddr::V6(addr) => format!("[{addr}]"),
    }
}

/// Who called whom.
fn arrow(group: &Group) -> &'static str {
    let serves = |leak: &Leak| match leak.role {
        Role::Passive => true,
        Role::Active => false,
        Role::Unknown => leak.service_port.is_some(),
    };
    if group.leaks.iter().all(serves) {
        "←"
    } else if is_active(group) {
        "→"
    } else {
        "↔"
    }
}

/// Remote addresses with their counts; with the port where all sockets have the same.
fn peers(group: &Group) -> String {
    let ports: BTreeSet<Option<u16>> =
        group.leaks.iter().map(|leak| leak.ends.remote.port).collect();
    let port = match (ports.len(), ports.first()) {
        (1, Some(Some(port))) if group.leaks.len() > 1 || is_active(group) => Some(*port),
        _ => None,
    };
    let item = |(addr, count): &(Option<IpAddr>, usize)| {
        let addr = match (addr, port) {
            (Some(addr), Some(port)) => format!("{}:{port}", address(*addr)),
            (Some(addr), None) => addr.to_string(),
            (None, _) => "?".to_owned(),
        };
        format!("{addr} ({count})")
    };
    list(group.peers.iter().map(item))
}

fn is_active(group: &Group) -> bool {
    group.leaks.iter().all(|leak| leak.role == Role::Active)
}

/// The processes to blame, where the group's own line does not name them all.
fn processes(group: &Group) -> Option<String> {
    let named = usize::from(group.by.is_none());
    let others = list(group.blamed.iter().skip(named).map(name::process));
    if others.is_empty() {
        return (named == 0).then(|| "held by no process".to_owned());
    }
    let also = if named > 0 { "also " } else { "" };
    let how = match group.cause {
        Cause::NeverAccepted => "listener held by",
        Cause::HeldByKernel => "opened by",
        _ => "held by",
    };
    Some(format!("{also}{how} {others}"))
}

/// Who opened the sockets, where that is somebody else.
fn openers(group: &Group) -> Option<String> {
    let openers = group.leaks.iter().filter_map(|leak| leak.opener.as_ref());
    let blamed = |party: &Party| {
        group.blamed.iter().any(|holder| identity(&holder.party) == identity(party))
    };
    let names = openers.filter(|party| !blamed(party)).map(name::party);
    let names = list(tally(names).into_iter().map(|(name, count)| format!("{name} ({count})")));
    (!names.is_empty()).then(|| format!("opened by {names}"))
}

fn identity(party: &Party) -> (u32, u64) {
    (party.pid, party.start_time_ns)
}

/// Descriptor numbers in the first process to blame.
fn descriptors(group: &Group) -> Option<String> {
    let first = group.blamed.first()?;
    let of_first = |leak: &Leak| {
        let holder = leak.holders.iter().find(|h| identity(&h.party) == identity(&first.party));
        holder.map(|holder| holder.fds.clone()).unwrap_or_default()
    };
    let fds: BTreeSet<u32> = group.leaks.iter().flat_map(of_first).collect();
    let place = match group.blamed.len() {
        1 => String::new(),
        _ => format!(" in {}", name::party(&first.party)),
    };
    (!fds.is_empty()).then(|| format!("fd {}{place}", list(fds.iter().map(u32::to_string))))
}

/// How much waits, where that is the point.
fn bytes(group: &Group) -> Option<String> {
    let (what, of): (_, fn(&Leak) -> Option<u32>) = match group.cause {
        Cause::DataNotRead => ("unread", |leak| leak.unread_bytes),
        Cause::SendBlocked => ("unsent", |leak| leak.unsent_bytes),
        _ => return None,
    };
    let known = || group.leaks.iter().filter_map(of);
    let (least, most) = (known().min()?, known().max()?);
    let range = if least == most { least.to_string() } else { format!("{least} to {most}") };
    Some(format!("{range} bytes {what}"))
}

/// Whose read delivered end-of-file.
fn end_of_file(group: &Group) -> Option<String> {
    let readers = group.leaks.iter().filter_map(|leak| leak.eof.as_ref()).map(|eof| {
        let thread = eof.reader.tid.map(|tid| format!(" thread {tid}")).unwrap_or_default();
        format!("{}{thread}", name::party(&eof.reader))
    });
    let readers = tally(readers).into_iter().map(|(name, count)| format!("{name} ({count})"));
    let readers = list(readers);
    (!readers.is_empty()).then(|| format!("end-of-file read by {readers}"))
}

/// What applies besides the verdict.
fn evidence(group: &Group) -> Option<String> {
    let tokens = group.leaks.iter().flat_map(|leak| &leak.evidence).map(|cause| cause.token());
    let all = list(tally(tokens).into_iter().map(|(token, count)| format!("{token} ({count})")));
    (!all.is_empty()).then(|| format!("also {all}"))
}

fn container(group: &Group) -> Option<String> {
    let containers = group.blamed.iter().filter_map(|holder| holder.party.container.as_ref());
    let short = |id: &String| cell::safe(id).chars().take(12).collect::<String>();
    let containers: BTreeSet<String> = containers.map(short).collect();
    (!containers.is_empty()).then(|| format!("container {}", list(containers.into_iter())))
}

fn netns(group: &Group) -> String {
    let spaces: BTreeSet<u32> = group.leaks.iter().map(|leak| leak.netns).collect();
    format!("netns {}", list(spaces.iter().map(u32::to_string)))
}

/// Items and how often each comes, most first.
fn tally<T: Ord>(items: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut counts: BTreeMap<T, usize> = BTreeMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    let mut counts: Vec<(T, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

/// The first items, and how many more there are.
fn list(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.collect();
    let more = items.len().saturating_sub(LIST_MAX);
    items.truncate(LIST_MAX);
    let shown = items.join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

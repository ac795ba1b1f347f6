//! Lines below a group: where, to whom, by whom.

use std::collections::BTreeSet;

use super::columns::GAP;
use super::style::Style;
use super::{acting, calls, ends, holding, list, listening, name};
use crate::lifecycle::cause::Cause;
use crate::lifecycle::report::{Group, Leak, Report};
use crate::output::cell;
use crate::output::paint;

const INDENT: &str = "        ";

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
    let room = style.width.saturating_sub(INDENT.len());
    let mut lines = Vec::new();
    lines.extend((!moved.is_empty()).then(|| moved.join(GAP)));
    lines.extend(stopped(group, room));
    lines.extend(place(group, room));
    lines.extend(acting::opened(group, room));
    lines.extend(holding::descriptors(group, room));
    lines.extend(bytes(group));
    lines.extend(acting::end_of_file(group, room));
    lines.extend(evidence(group, room));
    lines.extend(container(group, room));
    lines.extend(namespaces.then(|| netns(group, room)));
    lines.extend(calls::lines(group, room, style));
    lines.iter().map(|line| format!("{INDENT}{}", cell::cut(line, room))).collect()
}

/// Processes that cannot do anything because somebody has stopped them.
fn stopped(group: &Group, room: usize) -> Option<String> {
    const WHY: &str = "stopped (SIGSTOP or a debugger)";
    let stopped = group.blamed.iter().map(|holder| &holder.party).filter(|party| party.stopped);
    let names: Vec<String> = stopped.map(name::party).collect();
    let are = match names.len() {
        0 => return None,
        1 => "is",
        _ => "are",
    };
    let room = room.saturating_sub(are.len() + WHY.len() + 2);
    Some(format!("{} {are} {WHY}", list::within(room, "", &names, ", ")))
}

/// Where the sockets are and who holds them: the listener that they wait at, or both ends.
fn place(group: &Group, room: usize) -> Vec<String> {
    let peers = ends::peers(group);
    let mut lines = listening::lines(group, room);
    if lines.is_empty() {
        lines.push(list::within(room, &format!("{} ", ends::local(group)), &peers, ", "));
        lines.extend(holding::processes(group, room));
    } else {
        lines.push(list::within(room, "peers ", &peers, ", "));
    }
    lines
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

/// What applies besides the verdict.
fn evidence(group: &Group, room: usize) -> Option<String> {
    let tokens = group.leaks.iter().flat_map(|leak| &leak.evidence).map(|cause| cause.token());
    let item = |(token, count): (&str, usize)| format!("{token} ({count})");
    let all: Vec<String> = list::tally(tokens).into_iter().map(item).collect();
    (!all.is_empty()).then(|| list::within(room, "also ", &all, ", "))
}

fn container(group: &Group, room: usize) -> Option<String> {
    let containers = group.blamed.iter().filter_map(|holder| holder.party.container.as_ref());
    let short = |id: &String| cell::safe(id).chars().take(12).collect::<String>();
    let containers: BTreeSet<String> = containers.map(short).collect();
    let containers: Vec<String> = containers.into_iter().collect();
    (!containers.is_empty()).then(|| list::within(room, "container ", &containers, ", "))
}

fn netns(group: &Group, room: usize) -> String {
    let spaces: BTreeSet<u32> = group.leaks.iter().map(|leak| leak.netns).collect();
    let spaces: Vec<String> = spaces.iter().map(u32::to_string).collect();
    list::within(room, "netns ", &spaces, ", ")
}

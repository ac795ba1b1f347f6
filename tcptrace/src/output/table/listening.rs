//! The listeners at which connections wait.

use std::collections::BTreeMap;

use super::{acting, list, name};
use crate::lifecycle::age::Age;
use crate::lifecycle::report::{Group, Holder, Listener};
use crate::lifecycle::socket::Endpoint;
use crate::output::{cell, units};

/// A lower bound that is shorter says nothing of accept().
const IDLE_MIN_NS: u64 = 1_000_000_000;
/// Listeners that are shown.
const LISTENERS_MAX: usize = 8;

/// What tells listeners apart: with `SO_REUSEPORT` an address does not.
type Key = (Endpoint, Vec<(u32, Vec<u32>)>);

/// Each listener with its queue and who shares it; nothing where the sockets wait at none.
pub fn lines(group: &Group, room: usize) -> Vec<String> {
    let mut listeners: BTreeMap<Key, &Listener> = BTreeMap::new();
    for listener in group.leaks.iter().filter_map(|leak| leak.listener.as_ref()) {
        listeners.insert(key(listener), listener);
    }
    let mut lines = Vec::new();
    for listener in listeners.values().take(LISTENERS_MAX) {
        lines.push(queue(group, listener));
        lines.extend(failing(listener));
        lines.extend(holders(group, listener, room));
        lines.extend(opener(listener));
    }
    let more = listeners.len().saturating_sub(LISTENERS_MAX);
    lines.extend((more > 0).then(|| format!("and {more} more listeners")));
    lines
}

fn key(listener: &Listener) -> Key {
    let holders = listener.holders.iter().map(|own| (own.party.pid, own.fds.clone()));
    (listener.local, holders.collect())
}

/// `listener [::]:61616, backlog 41/50, no accept() for ≥ 41s, fd 17`.
fn queue(group: &Group, listener: &Listener) -> String {
    let Listener { local, backlog, backlog_max, .. } = listener;
    let fds = match listener.holders.as_slice() {
        [only] if is_named(group) => format!(", {}", descriptors(only)),
        _ => String::new(),
    };
    format!("listener {local}, backlog {backlog}/{backlog_max}{}{fds}", idle(listener.last_accept))
}

/// That accept() is called, and what it runs out of.
fn failing(listener: &Listener) -> Option<String> {
    let error = listener.accept_error?;
    let what = match error {
        "EMFILE" => "the process is out of descriptors",
        "ENFILE" => "the host is out of descriptors",
        _ => "the kernel is out of memory",
    };
    Some(format!("accept() fails with {error}: {what}"))
}

fn idle(since: Age) -> String {
    let says_something = match since {
        Age::Exact(_) => true,
        age => age.at_least().is_some_and(|least| least >= IDLE_MIN_NS),
    };
    match says_something {
        true => format!(", no accept() for {}", units::age(since)),
        false => String::new(),
    }
}

/// Whether the group's own line names the one process that holds its listeners.
fn is_named(group: &Group) -> bool {
    group.by.is_none() && group.blamed.len() == 1
}

/// Who has descriptors for it, where the group's own line does not say it.
fn holders(group: &Group, listener: &Listener, room: usize) -> Vec<String> {
    match listener.holders.as_slice() {
        [] => vec![],
        [_] if is_named(group) => vec![],
        [only] => {
            vec![format!("listener held by {}, {}", name::labelled(&only.party), descriptors(only))]
        }
        many => shared(many, room),
    }
}

/// Descriptors are said once where they are the same in each process.
fn shared(holders: &[Holder], room: usize) -> Vec<String> {
    let same = holders.windows(2).all(|pair| matches!(pair, [a, b] if a.fds == b.fds));
    let with_fds = |own: &Holder| format!("{} {}", name::party(&own.party), descriptors(own));
    let only_name = |own: &Holder| name::party(&own.party);
    let names: Vec<String> = match same {
        true => holders.iter().map(only_name).collect(),
        false => holders.iter().map(with_fds).collect(),
    };
    let each = holders.first().filter(|_| same);
    let each = each.map(|first| format!(", {} in each", descriptors(first))).unwrap_or_default();
    let room = room.saturating_sub(cell::width(&each));
    let mut lines =
        list::lines(room, "listener shared by ", &names, if same { ", " } else { "; " });
    if let Some(last) = lines.last_mut() {
        last.push_str(&each);
    }
    lines
}

/// `fd 17`.
fn descriptors(holder: &Holder) -> String {
    format!("fd {}", list::ranges(holder.fds.iter().copied()).join(", "))
}

/// Who called listen(), where that is none of its holders.
fn opener(listener: &Listener) -> Option<String> {
    let opener = listener.opener.as_ref()?;
    let is_opener = |own: &Holder| name::identity(&own.party) == name::identity(opener);
    let holds = listener.holders.iter().any(is_opener);
    (!holds)
        .then(|| format!("listen() called by {}{}", name::labelled(opener), acting::gone(opener)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::report::Leak;
    use crate::output::fixtures;

    /// A group that waits at listeners with these descriptors in these processes.
    fn group(listeners: &[&[(u32, u32)]]) -> Group {
        let group = fixtures::servers().groups.remove(3);
        let (leak, worker) = (group.leaks[0].clone(), group.blamed[0].clone());
        let holder = |&(pid, fd): &(u32, u32)| {
            let mut holder = Holder { fds: vec![fd], ..worker.clone() };
            holder.party.pid = pid;
            holder
        };
        let listener = |holders: &&[(u32, u32)]| Leak {
            listener: Some(Listener {
                holders: holders.iter().map(holder).collect(),
                opener: None,
                ..leak.listener.clone().unwrap()
            }),
            ..leak.clone()
        };
        let blamed = listeners.iter().flat_map(|holders| holders.iter()).map(holder).collect();
        Group { leaks: listeners.iter().map(listener).collect(), blamed, ..group }
    }

    #[test]
    fn descriptors_that_differ_are_named_with_their_process() {
        assert_eq!(
            lines(&group(&[&[(31, 6), (32, 7)]]), 92)[1],
            "listener shared by nginx[31] fd 6; nginx[32] fd 7"
        );
        assert_eq!(lines(&group(&[&[(31, 6)]]), 92), ["listener 0.0.0.0:80, backlog 2/511, fd 6"]);
    }

    #[test]
    fn listeners_of_one_address_are_told_apart() {
        assert_eq!(
            lines(&group(&[&[(31, 6)], &[(32, 6)], &[(32, 6)]]), 92),
            [
                "listener 0.0.0.0:80, backlog 2/511",
                "listener held by nginx[31], fd 6",
                "listener 0.0.0.0:80, backlog 2/511",
                "listener held by nginx[32], fd 6",
            ]
        );
    }

    #[test]
    fn an_accept_that_fails_is_said() {
        let mut group = group(&[&[(31, 6)]]);
        if let Some(listener) = &mut group.leaks[0].listener {
            listener.accept_error = Some("EMFILE");
        }
        let said = "accept() fails with EMFILE: the process is out of descriptors";
        assert_eq!(lines(&group, 92)[1], said);
    }

    #[test]
    fn a_short_lower_bound_is_not_shown() {
        let second = 1_000_000_000;
        assert_eq!(idle(Age::Between { min: second - 1, max: None }), "");
        assert_eq!(idle(Age::Between { min: second, max: None }), ", no accept() for ≥ 1s");
        assert_eq!(idle(Age::Exact(2_000_000)), ", no accept() for 2ms");
        assert_eq!(idle(Age::Unknown), "");
    }
}

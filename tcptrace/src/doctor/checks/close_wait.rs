//! What leaks: sockets in CLOSE_WAIT, dead ones, and the ports that they keep.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use crate::doctor::facts::{Facts, Process};
use crate::doctor::finding::{Culprit, Finding, Severity};
use crate::doctor::tally::{Seen, Timer};
use crate::doctor::topic::{CLOSE_WAIT, DEAD_SOCKETS, LEAKED_PORTS, Topic};
use crate::lifecycle::cause::{Cause, Kind};
use crate::lifecycle::group::blamed;
use crate::lifecycle::report::Leak;
use crate::lifecycle::wording::{count, duration};

use super::grade::{or_fine, percent};

/// Culprits that are named.
const NAMED: usize = 10;
/// Percentage of its descriptors from which on a leaking process is in danger.
const DANGER: u64 = 90;

/// A socket that leaks, however it was found.
struct Leaking {
    age_ns: Option<u64>,
    cause: Option<Cause>,
    /// Pid and name; pid 0: nobody is known.
    holders: Vec<(u32, String)>,
    cookie: u64,
}

/// Sockets in CLOSE_WAIT: as `leaks` finds them, and without it by their queues alone.
pub fn close_wait(facts: &Facts) -> Vec<Finding> {
    let Some(leaking) = of_kind(facts, Kind::CloseWait).or_else(|| by_idleness(facts)) else {
        return Vec::new();
    };
    let finding =
        found(facts, &leaking, &CLOSE_WAIT).map(|finding| with_keepalive(finding, facts, &leaking));
    or_fine(finding.into_iter().collect(), &CLOSE_WAIT, || {
        let all: usize = facts.read_namespaces().map(|(_, tally)| tally.close_wait.len()).sum();
        let halves = half_closed(facts);
        let halves =
            if halves == 0 { String::new() } else { format!("; {halves} half-closed on purpose") };
        format!("{all} in CLOSE_WAIT, none leaks for {}{halves}", duration(facts.min_age_ns))
    })
}

/// Dead sockets with a descriptor.
pub fn dead(facts: &Facts) -> Vec<Finding> {
    let Some(leaking) = of_kind(facts, Kind::Dead) else { return Vec::new() };
    or_fine(found(facts, &leaking, &DEAD_SOCKETS).into_iter().collect(), &DEAD_SOCKETS, || {
        "no descriptor is open for a connection that is over".to_owned()
    })
}

fn half_closed(facts: &Facts) -> usize {
    let leaks = facts.leaks.iter().flatten();
    leaks.filter(|leak| leak.cause == Cause::HalfClose).count()
}

/// `None`: leaks could not be looked for.
fn of_kind(facts: &Facts, kind: Kind) -> Option<Vec<Leaking>> {
    let leaks = facts.leaks.as_ref()?.iter();
    let wanted = leaks.filter(|leak| leak.kind == kind && leak.cause != Cause::HalfClose);
    Some(wanted.map(leaking).collect())
}

fn leaking(leak: &Leak) -> Leaking {
    let holders = blamed(leak).into_iter().map(|own| (own.party.pid, own.party.comm));
    Leaking {
        age_ns: leak.age.at_least(),
        cause: Some(leak.cause),
        holders: holders.collect(),
        cookie: leak.cookie,
    }
}

/// `None`: no sockets could be read either.
fn by_idleness(facts: &Facts) -> Option<Vec<Leaking>> {
    facts.read_namespaces().next()?;
    let sockets = facts.read_namespaces().flat_map(|(_, tally)| &tally.close_wait);
    let old = sockets.filter(|seen| seen.idle_ns.is_some_and(|age| age >= facts.min_age_ns));
    let leaking = old.map(|seen| Leaking {
        age_ns: seen.idle_ns,
        cause: None,
        holders: facts
            .holders_of(&[seen.inode])
            .into_iter()
            .map(|(process, _)| (process.pid, process.comm.clone()))
            .collect(),
        cookie: seen.cookie,
    });
    Some(leaking.collect())
}

fn found(facts: &Facts, leaking: &[Leaking], topic: &'static Topic) -> Option<Finding> {
    // `None`: there is none.
    let oldest = leaking.iter().map(|own| own.age_ns).max()?;
    let culprits = culprits(leaking);
    let whose = whose(&culprits, leaking.len());
    let mut holders = leaking.iter().flat_map(|own| &own.holders);
    let in_danger = holders.any(|(pid, _)| is_in_danger(facts, *pid));
    let severity = if in_danger { Severity::Critical } else { Severity::Warning };
    let what = if topic.id == CLOSE_WAIT.id { "in CLOSE_WAIT" } else { "dead and still open" };
    let title = format!(
        "{} {what} for at least {}{whose}",
        count(leaking.len() as u64, "socket"),
        duration(facts.min_age_ns)
    );
    let seconds = facts.min_age_ns.div_ceil(1_000_000_000);
    let finding = Finding::new(topic, severity, title)
        .with("sockets", leaking.len() as u64)
        .with("oldest_ns", oldest)
        .blame(culprits)
        .advise(
            "find the line of code that opened them, and the one that read end-of-file",
            Some(format!("tcptrace leaks --min-age {seconds}s")),
        )
        .advise("mend the program; until then a restart of it closes them all", None);
    Some(finding)
}

/// The first culprit, for the title.
fn whose(culprits: &[Culprit], total: usize) -> String {
    let Some((first, pid)) = culprits.first().and_then(|own| Some((own, own.pid?))) else {
        return String::new();
    };
    let share = match (culprits.len(), total) {
        (1, 1) => "",
        (1, _) => "all ",
        _ => "the most of them ",
    };
    format!(", {share}held by {}[{pid}]", first.comm)
}

fn is_in_danger(facts: &Facts, pid: u32) -> bool {
    let own = facts.processes.iter().find(|process| process.pid == pid);
    own.is_some_and(|own: &Process| match (own.fds, own.fd_limit) {
        (Some(used), Some(limit)) => percent(used, limit) >= DANGER,
        _ => false,
    })
}

/// Who, how many of them, and the cause of the most.
fn culprits(leaking: &[Leaking]) -> Vec<Culprit> {
    let mut counts: BTreeMap<(u32, &str), BTreeMap<&str, u64>> = BTreeMap::new();
    for own in leaking {
        let cause = own.cause.map_or("", Cause::token);
        let mut add = |who| *counts.entry(who).or_default().entry(cause).or_default() += 1;
        // Without the kernel side a holder may be hidden; with it there is none.
        if own.holders.is_empty() && own.cause.is_some() {
            add((0, ""));
        }
        own.holders.iter().for_each(|(pid, comm)| add((*pid, comm.as_str())));
    }
    let mut all: Vec<_> = counts.into_iter().collect();
    all.sort_by_key(|(_, causes)| Reverse(causes.values().sum::<u64>()));
    let culprit = |((pid, comm), causes): ((u32, &str), BTreeMap<&str, u64>)| {
        let total = causes.values().sum::<u64>();
        let cause =
            causes.into_iter().max_by_key(|(_, count)| *count).map_or("", |(cause, _)| cause);
        let part = [total.to_string(), cause.to_owned()].join(" ").trim_end().to_owned();
        Culprit { pid: (pid != 0).then_some(pid), comm: comm.to_owned(), part }
    };
    all.into_iter().take(NAMED).map(culprit).collect()
}

/// Whether those very sockets have keepalive on, and when it fires first. A socket shows one timer:
/// where another one runs, nobody can tell.
fn with_keepalive(finding: Finding, facts: &Facts, leaking: &[Leaking]) -> Finding {
    let sockets = facts.read_namespaces().flat_map(|(_, tally)| &tally.close_wait);
    let timers: HashMap<u64, Timer> = sockets.map(|seen| (seen.cookie, seen.timer)).collect();
    let timers: Vec<Option<&Timer>> = leaking.iter().map(|own| timers.get(&own.cookie)).collect();
    let fires = timers.iter().filter_map(|timer| match timer {
        Some(Timer::Keepalive(in_ns)) => Some(*in_ns),
        _ => None,
    });
    let (on, first) = (fires.clone().count() as u64, fires.min());
    let off = timers.iter().filter(|timer| matches!(timer, Some(Timer::None))).count();
    let Some(first) = first else {
        if off < timers.len() {
            return finding.with("keepalive", None);
        }
        return finding.with("keepalive", 0).advise(
            "keepalive is off for all of these, so no tcp_keepalive_* setting touches them",
            None,
        );
    };
    let what = format!(
        "keepalive is on for {on} of them and probes first in {}: a peer that is there answers and \
         nothing changes; one that has forgotten the connection resets it, and the descriptor stays",
        duration(first)
    );
    finding.with("keepalive", on).with("keepalive_first_ns", first).advise(what, None)
}

/// Sockets of a server whose peer was on this host and is gone: its port is free again for the
/// kernel to give out.
pub fn leaked_ports(facts: &Facts) -> Vec<Finding> {
    let known = facts
        .read_namespaces()
        .filter_map(|(namespace, tally)| Some((namespace, tally, namespace.ephemeral()?)));
    let known: Vec<_> = known.collect();
    if known.is_empty() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (namespace, tally, ports) in known {
        let is_trap = |seen: &&Seen| {
            tally.listens_at(&seen.local)
                && ports.has(seen.remote.port())
                && tally.was_here(&seen.remote)
        };
        let traps: Vec<&Seen> = tally.close_wait.iter().filter(is_trap).collect();
        let Some(first) = traps.first() else { continue };
        let queued = tally.listeners_at(&first.local).into_iter().map(|own| own.inode);
        let inodes: Vec<u32> =
            traps.iter().map(|seen| seen.inode).filter(|inode| *inode != 0).chain(queued).collect();
        let title = format!(
            "{} of a server here keep ports that a client here had",
            count(traps.len() as u64, "leaked socket"),
        );
        findings.push(
            Finding::new(&LEAKED_PORTS, Severity::Notice, title)
                .of(namespace.inode)
                .with("sockets", traps.len() as u64)
                .with("ephemeral_ports", ports.count())
                .with("local_port", u64::from(first.local.port()))
                .blame(facts.blame(&inodes, "holds the server's side"))
                .advise("mend the server that does not close, see close-wait", None),
        );
    }
    or_fine(findings, &LEAKED_PORTS, || "no leaked socket keeps a local port".to_owned())
}

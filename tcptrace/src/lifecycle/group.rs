//! Leaks of one kind, put together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::by::By;
use super::cause::Cause;
use super::growth::{Sizes, exhausted_in_ns};
use super::report::{FdUse, Group, Holder, Leak, Party};
use super::socket::{Endpoint, Role};

/// Groups leaks. `now_ns` is the time of the snapshot on the monotonic clock. Most leaks first,
/// then the oldest.
#[must_use]
pub fn group(leaks: Vec<Leak>, by: By, sizes: &Sizes, now_ns: u64, min_age_ns: u64) -> Vec<Group> {
    let mut sorted: BTreeMap<String, Vec<Leak>> = BTreeMap::new();
    for leak in leaks {
        sorted.entry(key(&leak, by)).or_default().push(leak);
    }
    let mut groups: Vec<Group> = sorted
        .into_iter()
        .filter_map(|(key, leaks)| {
            let growth = sizes.growth(&key, &leaks, now_ns, min_age_ns);
            build(key, leaks, by, growth)
        })
        .collect();
    let rates = rates(&groups);
    for group in &mut groups {
        group.fds = group.blamed.iter().filter_map(|own| descriptors(own, &rates)).min_by(urgency);
    }
    groups.sort_by_key(|group| (Reverse(group.leaks.len()), Reverse(oldest(&group.leaks))));
    groups
}

/// Who answers for a leak: who holds it, for one in an accept queue who holds the listener, and
/// where nobody holds it who opened it.
#[must_use]
pub fn blamed(leak: &Leak) -> Vec<Holder> {
    let holders = match (&leak.listener, leak.cause) {
        (Some(listener), Cause::NeverAccepted) => &listener.holders,
        _ => &leak.holders,
    };
    if !holders.is_empty() {
        return holders.clone();
    }
    let opener = leak.opener.iter();
    opener
        .map(|party| Holder { party: Party { tid: None, ..party.clone() }, ..Holder::default() })
        .collect()
}

/// The key of a leak's group: the same after a restart of the tool, and, but for
/// [`By::Process`], of the leaking program.
fn key(leak: &Leak, by: By) -> String {
    let blamed = blamed(leak);
    let first = blamed.first().map(|holder| &holder.party);
    let who = match by {
        By::Stack => format!("{}/{}", program(first), opened(leak)),
        By::Process => first.map_or_else(String::new, |party| party.pid.to_string()),
        By::Remote => leak.ends.remote.addr.map_or_else(String::new, |addr| addr.to_string()),
        By::LocalPort => leak.ends.local.port.map_or_else(String::new, |port| port.to_string()),
        By::Cgroup => first.and_then(|party| party.cgroup.clone()).unwrap_or_default(),
        By::None => format!("{:x}", leak.cookie),
    };
    format!("{}/{who}", leak.cause.token())
}

fn program(party: Option<&Party>) -> String {
    let Some(party) = party else { return "-".to_owned() };
    match &party.label {
        Some(label) => format!("{}:{label}", party.comm),
        None => party.comm.clone(),
    }
}

/// Where the connection was opened, as far as its ends tell: a server's by the port it listens
/// on, a client's by the port it went to.
fn opened(leak: &Leak) -> String {
    let port = |port: Option<u16>| port.map_or_else(|| "?".to_owned(), |port| port.to_string());
    match (leak.role, leak.service_port) {
        (Role::Active, _) | (Role::Unknown, None) => {
            format!("to {}", port(leak.ends.remote.port))
        }
        (Role::Passive, _) | (Role::Unknown, Some(_)) => {
            format!("on {}", port(leak.ends.local.port.or(leak.service_port)))
        }
    }
}

fn build(
    key: String,
    mut leaks: Vec<Leak>,
    by: By,
    growth: Option<super::report::Growth>,
) -> Option<Group> {
    leaks.sort_by_key(|leak| Reverse(leak.age.at_least()));
    let cause = leaks.first()?.cause;
    Some(Group {
        cause,
        blamed: all_blamed(&leaks),
        by: named(&leaks, by),
        growth,
        fds: None,
        local: common_local(&leaks),
        peers: peers(&leaks),
        key,
        leaks,
    })
}

/// Everyone who is blamed for one of the leaks, who has most of them first, with all descriptors.
fn all_blamed(leaks: &[Leak]) -> Vec<Holder> {
    let mut all: Vec<(usize, Holder)> = Vec::new();
    let mut index: HashMap<(u32, u64), usize> = HashMap::new();
    for holder in leaks.iter().flat_map(blamed) {
        let at =
            *index.entry((holder.party.pid, holder.party.start_time_ns)).or_insert_with(|| {
                all.push((0, Holder { fds: Vec::new(), ..holder.clone() }));
                all.len() - 1
            });
        if let Some((count, known)) = all.get_mut(at) {
            *count += 1;
            known.fds.extend(holder.fds);
        }
    }
    all.sort_by_key(|(count, holder)| (Reverse(*count), holder.party.pid));
    all.into_iter()
        .map(|(_, mut holder)| {
            holder.fds.sort_unstable();
            holder.fds.dedup();
            holder
        })
        .collect()
}

fn named(leaks: &[Leak], by: By) -> Option<(String, String)> {
    let first = leaks.first()?;
    match by {
        By::Stack | By::Process | By::None => None,
        By::Remote => Some(("remote".to_owned(), first.ends.remote.addr?.to_string())),
        By::LocalPort => Some(("local-port".to_owned(), first.ends.local.port?.to_string())),
        By::Cgroup => {
            let cgroup = blamed(first).first()?.party.cgroup.clone()?;
            Some(("cgroup".to_owned(), cgroup))
        }
    }
}

fn common_local(leaks: &[Leak]) -> Endpoint {
    let common = |a: Endpoint, b: Endpoint| Endpoint {
        addr: a.addr.filter(|addr| b.addr == Some(*addr)),
        port: a.port.filter(|port| b.port == Some(*port)),
    };
    let ends = leaks.iter().map(|leak| leak.ends.local);
    ends.reduce(common).unwrap_or(Endpoint { addr: None, port: None })
}

fn peers(leaks: &[Leak]) -> Vec<(Option<IpAddr>, usize)> {
    let mut counts: HashMap<Option<IpAddr>, usize> = HashMap::new();
    for leak in leaks {
        *counts.entry(leak.ends.remote.addr).or_default() += 1;
    }
    let mut peers: Vec<_> = counts.into_iter().collect();
    peers.sort_by_key(|(addr, count)| (Reverse(*count), *addr));
    peers
}

fn oldest(leaks: &[Leak]) -> Option<u64> {
    leaks.iter().filter_map(|leak| leak.age.at_least()).max()
}

/// How many descriptors a minute each process loses to all groups.
#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rates(groups: &[Group]) -> HashMap<u32, f64> {
    let mut rates: HashMap<u32, f64> = HashMap::new();
    for group in groups {
        let Some(growth) = group.growth else { continue };
        // A connection that was never accepted takes no descriptor.
        if group.cause == Cause::NeverAccepted {
            continue;
        }
        let all: usize = group.blamed.iter().map(|holder| holder.fds.len()).sum();
        for holder in &group.blamed {
            let share = holder.fds.len() as f64 / all.max(1) as f64;
            *rates.entry(holder.party.pid).or_default() += growth.per_minute * share;
        }
    }
    rates
}

fn descriptors(holder: &Holder, rates: &HashMap<u32, f64>) -> Option<FdUse> {
    let (used, limit) = (holder.fd_used?, holder.fd_limit?);
    let rate = rates.get(&holder.party.pid).copied().unwrap_or(0.0);
    let exhausted_in_ns = exhausted_in_ns(used, limit, rate);
    Some(FdUse { pid: holder.party.pid, used, limit, exhausted_in_ns })
}

/// Soonest exhausted first, then fewest free.
fn urgency(a: &FdUse, b: &FdUse) -> std::cmp::Ordering {
    let rank = |own: &FdUse| {
        (own.exhausted_in_ns.unwrap_or(u64::MAX), own.limit.saturating_sub(own.used), own.pid)
    };
    rank(a).cmp(&rank(b))
}

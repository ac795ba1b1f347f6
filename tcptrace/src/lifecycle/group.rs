//! Leaks of one kind, put together.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::by::By;
use super::cause::Cause;
use super::outlook::Outlook;
use super::report::{FdUse, Group, Holder, Leak, Party};
use super::socket::{Endpoint, Role};

/// Groups leaks. Most leaks first, then the oldest.
#[must_use]
pub fn group(leaks: Vec<Leak>, by: By, outlook: &Outlook<'_>) -> Vec<Group> {
    let mut sorted: BTreeMap<String, Vec<Leak>> = BTreeMap::new();
    for leak in leaks {
        sorted.entry(key(&leak, by)).or_default().push(leak);
    }
    let groups = sorted.into_iter().filter_map(|(key, leaks)| build(key, leaks, by, outlook));
    let mut groups: Vec<Group> = groups.collect();
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
        By::Stack => format!("{}/{}", program(first), place(leak)),
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
    // A title such as `postgres: alice shop 10.0.0.7(4711) SELECT` tells processes apart.
    match party.label.as_ref().filter(|label| !label.contains(": ")) {
        Some(label) => format!("{}:{label}", party.comm),
        None => party.comm.clone(),
    }
}

/// Where it comes from: the call that made it, or what its ends tell where no stack was taken.
fn place(leak: &Leak) -> String {
    leak.origin().key.as_ref().map_or_else(|| opened(leak), |key| format!("at {key}"))
}

/// Where the connection was opened, as far as its ends tell: a server's by the port it listens
/// on, a client's by the port it went to.
fn opened(leak: &Leak) -> String {
    let port = |port: Option<u16>| port.map_or_else(|| "?".to_owned(), |port| port.to_string());
    match (leak.role, leak.service_port) {
        (Role::Active, _) | (Role::Listener | Role::Unknown, None) => {
            format!("to {}", port(leak.ends.remote.port))
        }
        (Role::Passive, _) | (Role::Listener | Role::Unknown, Some(_)) => {
            format!("on {}", port(leak.ends.local.port.or(leak.service_port)))
        }
    }
}

fn build(key: String, mut leaks: Vec<Leak>, by: By, outlook: &Outlook<'_>) -> Option<Group> {
    leaks.sort_by_key(|leak| Reverse(leak.age.at_least()));
    let cause = leaks.first()?.cause;
    let blamed = all_blamed(&leaks);
    Some(Group {
        cause,
        by: named(&leaks, by),
        growth: outlook.growth(&key, &leaks),
        fds: blamed.iter().filter_map(|own| outlook.descriptors(own)).min_by_key(urgency),
        blamed,
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
    // Of several that hold as many, one that is stopped is the likelier culprit.
    all.sort_by_key(|(count, holder)| {
        (Reverse(*count), Reverse(holder.party.stopped), holder.party.pid)
    });
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

/// Soonest exhausted first, then fewest free.
fn urgency(own: &FdUse) -> (u64, u64, u32) {
    (own.exhausted_in_ns.unwrap_or(u64::MAX), own.limit.saturating_sub(own.used), own.pid)
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use super::*;
    use crate::lifecycle::age::Age;
    use crate::lifecycle::growth::Sizes;
    use crate::lifecycle::leak::tests::sample_leak;
    use crate::lifecycle::report::Listener;
    use crate::lifecycle::stack::Stack;

    pub fn held(pid: u32, comm: &str, fds: &[u32], local_port: u16, remote: u8) -> Leak {
        let mut leak = sample_leak();
        let party = Party { pid, comm: comm.into(), ..Party::default() };
        let holder = Holder { party, fds: fds.to_vec(), fd_used: Some(10), fd_limit: Some(110) };
        leak.holders = vec![holder];
        leak.role = Role::Passive;
        leak.ends.local.port = Some(local_port);
        leak.ends.remote.addr = Some(Ipv4Addr::new(10, 0, 0, remote).into());
        leak
    }

    fn grouped(leaks: Vec<Leak>, by: By) -> Vec<(usize, String)> {
        let sizes = Sizes::default();
        let groups = group(leaks, by, &Outlook::new(&sizes, [].iter(), 0, 0));
        groups.into_iter().map(|group| (group.leaks.len(), group.key)).collect()
    }

    fn three() -> Vec<Leak> {
        vec![held(1, "web", &[4], 80, 1), held(2, "web", &[4], 80, 2), held(3, "db", &[4], 5432, 1)]
    }

    #[test]
    fn a_program_is_one_group_however_many_processes_it_has() {
        let groups = grouped(three(), By::Stack);
        let expected = [(2, "eof-not-read/web/on 80"), (1, "eof-not-read/db/on 5432")];
        assert_eq!(groups, expected.map(|(count, key)| (count, key.to_owned())));
    }

    #[test]
    fn other_keys_cut_otherwise() {
        assert_eq!(grouped(three(), By::Process).len(), 3);
        assert_eq!(grouped(three(), By::Remote)[0].0, 2);
        assert_eq!(grouped(three(), By::LocalPort)[0], (2, "eof-not-read/80".to_owned()));
        let mut alone = three();
        alone.iter_mut().zip(1..).for_each(|(leak, cookie)| leak.cookie = cookie);
        assert_eq!(grouped(alone, By::None).len(), 3);
    }

    #[test]
    fn a_client_is_told_by_where_it_went() {
        let mut leak = held(1, "app", &[3], 40000, 1);
        leak.role = Role::Active;
        leak.ends.remote.port = Some(6379);
        assert_eq!(grouped(vec![leak], By::Stack)[0].1, "eof-not-read/app/to 6379");
    }

    #[test]
    fn a_call_site_is_a_group() {
        let mut leaks = three();
        leaks.extend(three());
        for (leak, key) in leaks.iter_mut().zip(["aa", "bb", "aa", "aa"]) {
            leak.open_stack = Arc::new(Stack { key: Some(key.into()), ..Stack::default() });
        }
        let keys: Vec<_> = grouped(leaks, By::Stack).into_iter().map(|(_, key)| key).collect();
        let expected = ["web/at aa", "db/at aa", "db/on 5432", "web/at bb", "web/on 80"];
        assert_eq!(keys, expected.map(|key| format!("eof-not-read/{key}")));
    }

    #[test]
    fn what_was_never_accepted_is_grouped_by_its_listener() {
        let stack = |key: &str| Arc::new(Stack { key: Some(key.into()), ..Stack::default() });
        let mut leak = held(1, "web", &[], 80, 1);
        leak.cause = Cause::NeverAccepted;
        leak.open_stack = stack("child");
        leak.listener = Some(Listener {
            local: leak.ends.local,
            backlog: 1,
            backlog_max: 1,
            last_accept: Age::Unknown,
            accept_error: None,
            opener: None,
            listen_stack: stack("listen"),
            holders: leak.holders.clone(),
        });
        assert_eq!(grouped(vec![leak], By::Stack)[0].1, "never-accepted/web/at listen");
    }

    #[test]
    fn a_title_that_tells_one_process_from_another_does_not_split_a_group() {
        let mut leaks = three();
        for leak in &mut leaks[..2] {
            let pid = leak.holders[0].party.pid;
            leak.holders[0].party.label = Some(format!("web: worker {pid}"));
        }
        assert_eq!(grouped(leaks, By::Stack)[0], (2, "eof-not-read/web/on 80".to_owned()));
    }
}

//! Where the sockets of a group are, and to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::lifecycle::report::{Group, Leak};
use crate::lifecycle::socket::Role;

/// For what differs between sockets, and for what the kernel has forgotten.
const VARIES: &str = "*";
const FORGOTTEN: &str = "?";

/// The near end, and who called whom: `10.0.0.5:* →`.
pub fn local(group: &Group) -> String {
    let addrs = group.leaks.iter().map(|leak| leak.ends.local.addr).collect();
    let ports = group.leaks.iter().map(|leak| leak.ends.local.port).collect();
    format!("{}:{} {}", common(&addrs, address), common(&ports, port), arrow(group))
}

/// The far ends with their counts, most first: `10.0.0.9:6379 (4)`. The ports of many clients say
/// nothing and are left out.
pub fn peers(group: &Group) -> Vec<String> {
    let mut ports: BTreeMap<Option<IpAddr>, BTreeSet<Option<u16>>> = BTreeMap::new();
    for leak in &group.leaks {
        ports.entry(leak.ends.remote.addr).or_default().insert(leak.ends.remote.port);
    }
    let all: BTreeSet<Option<u16>> = ports.values().flatten().copied().collect();
    let says_something = all.len() == 1 || !group.leaks.iter().all(serves);
    let end = |addr: Option<IpAddr>| match (addr, ports.get(&addr).filter(|_| says_something)) {
        (Some(known), Some(ports)) => format!("{}:{}", address(known), common(ports, port)),
        (Some(known), None) => known.to_string(),
        (None, _) => FORGOTTEN.to_owned(),
    };
    group.peers.iter().map(|(addr, count)| format!("{} ({count})", end(*addr))).collect()
}

/// What all have in common.
fn common<T: Copy>(values: &BTreeSet<Option<T>>, show: impl Fn(T) -> String) -> String {
    let mut values = values.iter();
    match (values.next(), values.next()) {
        (Some(Some(only)), None) => show(*only),
        (Some(None) | None, None) => FORGOTTEN.to_owned(),
        _ => VARIES.to_owned(),
    }
}

fn address(addr: IpAddr) -> String {
    match addr {
        IpAddr::V4(addr) => addr.to_string(),
        IpAddr::V6(addr) => format!("[{addr}]"),
    }
}

fn port(port: u16) -> String {
    port.to_string()
}

/// Who called whom.
fn arrow(group: &Group) -> &'static str {
    if group.leaks.iter().all(serves) {
        "←"
    } else if group.leaks.iter().all(|leak| leak.role == Role::Active) {
        "→"
    } else {
        "↔"
    }
}

/// Whether this is the server's side.
fn serves(leak: &Leak) -> bool {
    match leak.role {
        Role::Passive => true,
        Role::Active => false,
        Role::Listener | Role::Unknown => leak.service_port.is_some(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::socket::{Endpoint, Endpoints};
    use crate::output::fixtures;

    /// A group with these ends and this role.
    fn group(role: Role, ends: &[(&str, &str)]) -> Group {
        let end = |text: &str| {
            let (addr, port) = text.rsplit_once(':').unwrap();
            Endpoint { addr: addr.parse().ok(), port: port.parse().ok() }
        };
        let leaks = ends.iter().map(|(local, remote)| Leak {
            role,
            ends: Endpoints { local: end(local), remote: end(remote) },
            ..fixtures::full().groups.remove(0).leaks.remove(0)
        });
        fixtures::group("test", leaks.collect(), vec![])
    }

    fn shown(role: Role, ends: &[(&str, &str)]) -> String {
        let group = group(role, ends);
        format!("{} {}", local(&group), peers(&group).join(", "))
    }

    #[test]
    fn of_one_socket_both_ports_are_shown() {
        let one = [("10.0.0.5:40016", "10.0.0.9:6379")];
        assert_eq!(shown(Role::Unknown, &one), "10.0.0.5:40016 ↔ 10.0.0.9:6379 (1)");
        assert_eq!(shown(Role::Active, &one), "10.0.0.5:40016 → 10.0.0.9:6379 (1)");
        assert_eq!(shown(Role::Passive, &one), "10.0.0.5:40016 ← 10.0.0.9:6379 (1)");
    }

    #[test]
    fn of_many_sockets_what_differs_is_a_star() {
        let out = [("10.0.0.5:1", "10.0.0.9:6379"), ("10.0.0.5:2", "10.0.0.9:6379")];
        assert_eq!(shown(Role::Unknown, &out), "10.0.0.5:* ↔ 10.0.0.9:6379 (2)");
        let both = [("::1:1", "::2:3"), ("::1:2", "::2:4"), ("::1:2", "::3:9")];
        assert_eq!(shown(Role::Active, &both), "[::1]:* → [::2]:* (2), [::3]:9 (1)");
    }

    #[test]
    fn ports_of_many_clients_are_left_out() {
        let clients = [("10.0.0.5:80", "10.0.0.9:1"), ("10.0.0.5:80", "10.0.0.9:2")];
        assert_eq!(shown(Role::Passive, &clients), "10.0.0.5:80 ← 10.0.0.9 (2)");
    }

    #[test]
    fn what_is_forgotten_is_a_question_mark() {
        assert_eq!(shown(Role::Unknown, &[("?:?", "10.0.0.9:?")]), "?:? ↔ 10.0.0.9:? (1)");
        assert_eq!(shown(Role::Unknown, &[("?:?", "?:?")]), "?:? ↔ ? (1)");
        let partly = [("10.0.0.5:?", "10.0.0.9:1"), ("10.0.0.5:2", "10.0.0.9:1")];
        assert_eq!(shown(Role::Unknown, &partly), "10.0.0.5:* ↔ 10.0.0.9:1 (2)");
    }
}

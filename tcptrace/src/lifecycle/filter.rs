//! Which sockets the user wants to see: data and matching, nothing else. Here is what all commands
//! share, and the matching of leaks; see [`super::transition_filter`] for that of transitions.
//!
//! What is not known matches no filter on it: a dead socket whose local port the kernel has
//! cleared is not shown for `--local-port 80`.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use ipnet::IpNet;

use super::cause::Kind;
use super::pattern::Pattern;
use super::report::{Holder, Leak, Party};
use super::socket::Endpoints;

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4, also through an IPv6 socket (mapped addresses).
    V4,
    /// IPv6.
    V6,
}

/// How the user named a network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetnsSpec {
    /// Inode number, as in `net:[4026531840]`.
    Inode(u32),
    /// A file that stands for it: `/run/netns/blue`, `/proc/1/ns/net`.
    Path(PathBuf),
    /// The one that this process is in.
    Pid(u32),
}

/// Conditions that all have to hold; each is a list of which one has to hold. An empty list is no
/// condition. `S` is what a command calls a state.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter<S = Kind> {
    /// Process ids: of the opener, of any holder, of any holder of the listener.
    pub pids: Vec<u32>,
    /// Names of the same processes.
    pub comms: Vec<Pattern>,
    /// cgroup paths of the same processes.
    pub cgroups: Vec<Pattern>,
    /// Container ids of the same processes, from their beginning.
    pub containers: Vec<String>,
    /// Local ports.
    pub local_ports: Vec<RangeInclusive<u16>>,
    /// Remote ports.
    pub remote_ports: Vec<RangeInclusive<u16>>,
    /// Networks of the local address.
    pub local_nets: Vec<IpNet>,
    /// Networks of the remote address.
    pub remote_nets: Vec<IpNet>,
    /// Address family; `None`: both.
    pub family: Option<Family>,
    /// States: of a leak what is wrong with it.
    pub states: Vec<S>,
    /// Inode numbers of network namespaces.
    pub netns: Vec<u32>,
}

impl<S> Default for Filter<S> {
    fn default() -> Self {
        Self {
            pids: Vec::new(),
            comms: Vec::new(),
            cgroups: Vec::new(),
            containers: Vec::new(),
            local_ports: Vec::new(),
            remote_ports: Vec::new(),
            local_nets: Vec::new(),
            remote_nets: Vec::new(),
            family: None,
            states: Vec::new(),
            netns: Vec::new(),
        }
    }
}

impl Filter {
    /// Whether the user wants to see this leak.
    #[must_use]
    pub fn matches(&self, leak: &Leak) -> bool {
        any_or_empty(&self.states, |kind| *kind == leak.kind)
            && self.matches_place(&leak.ends, leak.netns)
            && self.matches_parties(&parties(leak).collect::<Vec<_>>())
    }
}

impl<S> Filter<S> {
    /// The same filter, of a command that calls states otherwise.
    #[must_use]
    pub fn with_states<T>(self, states: Vec<T>) -> Filter<T> {
        Filter {
            states,
            pids: self.pids,
            comms: self.comms,
            cgroups: self.cgroups,
            containers: self.containers,
            local_ports: self.local_ports,
            remote_ports: self.remote_ports,
            local_nets: self.local_nets,
            remote_nets: self.remote_nets,
            family: self.family,
            netns: self.netns,
        }
    }

    /// Whether the user wants to see sockets of this network namespace.
    #[must_use]
    pub fn wants_namespace(&self, netns: u32) -> bool {
        any_or_empty(&self.netns, |wanted| *wanted == netns)
    }

    /// Whether the user wants sockets with these endpoints in this network namespace.
    #[must_use]
    pub fn matches_place(&self, ends: &Endpoints, netns: u32) -> bool {
        self.wants_namespace(netns)
            && self.matches_local_port(ends.local.port)
            && any_or_empty(&self.remote_ports, |range| holds_port(range, ends.remote.port))
            && any_or_empty(&self.local_nets, |net| holds_addr(net, ends.local.addr))
            && any_or_empty(&self.remote_nets, |net| holds_addr(net, ends.remote.addr))
            && self.family.is_none_or(|family| ends.family() == Some(family.token()))
    }

    /// Whether the user wants sockets with this local port.
    #[must_use]
    pub fn matches_local_port(&self, port: Option<u16>) -> bool {
        any_or_empty(&self.local_ports, |range| holds_port(range, port))
    }

    /// Whether the user wants sockets with this peer, of which no more is known.
    #[must_use]
    pub fn matches_remote_addr(&self, addr: Option<IpAddr>) -> bool {
        any_or_empty(&self.remote_nets, |net| holds_addr(net, addr))
            && self.family.is_none_or(|family| addr.map(Family::of) == Some(family))
    }

    /// Whether the user wants sockets of a process with this id.
    #[must_use]
    pub fn matches_pid(&self, pid: Option<u32>) -> bool {
        any_or_empty(&self.pids, |own| pid == Some(*own))
    }

    /// Whether the user wants sockets of a process with this name.
    #[must_use]
    pub fn matches_comm(&self, comm: Option<&str>) -> bool {
        any_or_empty(&self.comms, |glob| comm.is_some_and(|comm| glob.matches(comm)))
    }

    /// Whether there is any condition on processes.
    #[must_use]
    pub fn is_about_processes(&self) -> bool {
        !self.pids.is_empty() || !self.comms.is_empty() || self.needs_process_details()
    }

    /// Whether a condition is on what only `/proc` tells of a process.
    #[must_use]
    pub fn needs_process_details(&self) -> bool {
        !self.cgroups.is_empty() || !self.containers.is_empty()
    }

    /// Whether all conditions on processes hold for this one.
    #[must_use]
    pub fn matches_party(&self, party: &Party) -> bool {
        self.matches_parties(&[party])
    }

    /// Whether each condition on processes holds for one of these.
    fn matches_parties(&self, parties: &[&Party]) -> bool {
        let any = |condition: &dyn Fn(&Party) -> bool| parties.iter().any(|own| condition(own));
        any_or_empty(&self.pids, |pid| any(&|party| party.pid == *pid))
            && any_or_empty(&self.comms, |glob| any(&|party| glob.matches(&party.comm)))
            && any_or_empty(&self.cgroups, |glob| {
                any(&|party| party.cgroup.as_ref().is_some_and(|path| glob.matches(path)))
            })
            && any_or_empty(&self.containers, |prefix| {
                any(&|party| party.container.as_ref().is_some_and(|id| id.starts_with(prefix)))
            })
    }
}

impl Family {
    /// That of an address; mapped ones are held as IPv4.
    #[must_use]
    pub const fn of(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// Frozen token.
    #[must_use]
    pub fn token(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}

/// The processes that a leak is about. Whoever merely read end-of-file is not one of them.
fn parties(leak: &Leak) -> impl Iterator<Item = &Party> {
    let of_listener = leak.listener.iter().flat_map(|listener| &listener.holders);
    let holders = leak.holders.iter().chain(of_listener).map(|holder: &Holder| &holder.party);
    leak.opener.iter().chain(holders)
}

pub(super) fn any_or_empty<T>(conditions: &[T], holds: impl Fn(&T) -> bool) -> bool {
    conditions.is_empty() || conditions.iter().any(holds)
}

fn holds_port(range: &RangeInclusive<u16>, port: Option<u16>) -> bool {
    port.is_some_and(|port| range.contains(&port))
}

fn holds_addr(net: &IpNet, addr: Option<IpAddr>) -> bool {
    addr.is_some_and(|addr| net.contains(&addr))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::lifecycle::age::Age;
    use crate::lifecycle::cause::Cause;
    use crate::lifecycle::report::Listener;
    use crate::lifecycle::socket::{Endpoint, Endpoints, Role};

    fn party(pid: u32, comm: &str) -> Party {
        Party { pid, comm: comm.into(), ..Party::default() }
    }

    fn holder(party: Party) -> Holder {
        Holder { party, fds: vec![3], ..Holder::default() }
    }

    fn end(addr: &str, port: u16) -> Endpoint {
        Endpoint { addr: Some(addr.parse().unwrap()), port: Some(port) }
    }

    fn leak() -> Leak {
        Leak {
            kind: Kind::CloseWait,
            cause: Cause::EofNotRead,
            evidence: vec![],
            cookie: 1,
            netns: 42,
            ends: Endpoints { local: end("10.0.0.1", 80), remote: end("10.9.0.7", 40000) },
            role: Role::Passive,
            seen_ns: 0,
            age: Age::Unknown,
            unread_bytes: None,
            unsent_bytes: None,
            keepalive: false,
            opener: Some(party(7, "parent")),
            open_stack: Arc::default(),
            holders: vec![holder(party(8, "child")), holder(party(9, "grandchild"))],
            listener: None,
            service_port: None,
            eof: None,
        }
    }

    fn queued() -> Leak {
        let listener = Listener {
            local: end("10.0.0.1", 80),
            backlog: 1,
            backlog_max: 5,
            last_accept: Age::Unknown,
            accept_error: None,
            opener: Some(party(20, "starter")),
            listen_stack: Arc::default(),
            holders: vec![holder(party(21, "server"))],
        };
        Leak { opener: None, holders: vec![], listener: Some(listener), ..leak() }
    }

    fn glob(text: &str) -> Pattern {
        Pattern::parse_comm(text).unwrap()
    }

    #[test]
    fn an_empty_filter_matches_all() {
        assert!(Filter::default().matches(&leak()));
        assert!(Filter::default().matches(&queued()));
    }

    #[test]
    fn a_pid_is_that_of_opener_or_any_holder_or_the_listeners_holders() {
        let wants = |pids: &[u32]| Filter { pids: pids.to_vec(), ..Filter::default() };
        for pid in [7, 8, 9] {
            assert!(wants(&[pid]).matches(&leak()), "{pid}");
        }
        assert!(!wants(&[21]).matches(&leak()));
        assert!(wants(&[1, 21]).matches(&queued()));
        assert!(!wants(&[20]).matches(&queued()), "who called listen() holds nothing");
    }

    #[test]
    fn a_comm_is_a_glob_over_the_same_processes() {
        let wants = |text| Filter { comms: vec![glob(text)], ..Filter::default() };
        assert!(wants("par*").matches(&leak()));
        assert!(wants("grandchild").matches(&leak()));
        assert!(!wants("server").matches(&leak()));
        assert!(wants("server").matches(&queued()));
    }

    #[test]
    fn ports_are_ranges_and_an_unknown_port_matches_none() {
        let wants = |range| Filter { local_ports: vec![443..=443, range], ..Filter::default() };
        assert!(wants(80..=90).matches(&leak()));
        assert!(!wants(81..=90).matches(&leak()));
        let mut dead = leak();
        dead.ends.local.port = None;
        assert!(!wants(1..=65535).matches(&dead));
        let remote = Filter { remote_ports: vec![40000..=40001], ..Filter::default() };
        assert!(remote.matches(&leak()));
    }

    #[test]
    fn addresses_are_networks() {
        let net = |text: &str| vec![text.parse::<IpNet>().unwrap()];
        let local = Filter { local_nets: net("10.0.0.0/24"), ..Filter::default() };
        assert!(local.matches(&leak()));
        let remote = Filter { remote_nets: net("10.0.0.0/24"), ..Filter::default() };
        assert!(!remote.matches(&leak()));
        let other_family = Filter { remote_nets: net("::/0"), ..Filter::default() };
        assert!(!other_family.matches(&leak()));
    }

    #[test]
    fn family_state_and_namespace() {
        let v6 = Filter { family: Some(Family::V6), ..Filter::default() };
        let v4 = Filter { family: Some(Family::V4), ..Filter::default() };
        assert!(v4.matches(&leak()) && !v6.matches(&leak()));
        let dead = Filter { states: vec![Kind::Dead], ..Filter::default() };
        assert!(!dead.matches(&leak()));
        let here = Filter { netns: vec![1, 42], ..Filter::default() };
        let there = Filter { netns: vec![1], ..Filter::default() };
        assert!(here.matches(&leak()) && !there.matches(&leak()));
    }

    #[test]
    fn cgroup_and_container_need_process_details() {
        let mut found = leak();
        found.holders[1].party.cgroup = Some("/kubepods/pod1/abcdef".into());
        found.holders[1].party.container = Some("abcdef".into());
        let cgroup = Filter { cgroups: vec![glob("/kubepods*")], ..Filter::default() };
        let container = Filter { containers: vec!["abc".into()], ..Filter::default() };
        assert!(cgroup.matches(&found) && !cgroup.matches(&leak()));
        assert!(container.matches(&found) && !container.matches(&leak()));
    }

    #[test]
    fn all_conditions_have_to_hold() {
        let both = Filter { pids: vec![8], states: vec![Kind::Dead], ..Filter::default() };
        assert!(!both.matches(&leak()));
    }
}

//! The sockets of one network namespace, counted as they are shown; few of them are kept.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::ports::Ephemeral;
use crate::lifecycle::socket::State;

/// An address and a port; IPv4 where an IPv6 socket carries it.
pub type Place = SocketAddr;

/// Destinations whose users are remembered, and users of one of them.
const MOST_DESTINATIONS: usize = 1 << 16;
const MOST_USERS: usize = 4;
/// Retransmissions from which on a close is stuck: the third is sent after some seconds.
const STUCK_RETRIES: u8 = 3;

/// Which timer of a socket runs, and when it fires, ns from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// None.
    None,
    /// Of a retransmission; so many were sent.
    Retransmit(u8),
    /// Of keepalive.
    Keepalive(u64),
    /// Of a mini-socket.
    TimeWait,
    /// Of a probe of a window that is closed.
    Probe,
}

/// A socket as the kernel's socket diagnosis shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// State; a mini-socket in FIN_WAIT2 has that state.
    pub state: State,
    /// This side; IPv4 where an IPv6 socket carries it.
    pub local: Place,
    /// The other side.
    pub remote: Place,
    /// Inode number; 0: no process can have it.
    pub inode: u32,
    /// Socket cookie.
    pub cookie: u64,
    /// Bytes that wait to be read; of a listener connections that wait for accept().
    pub receive_queue: u32,
    /// Bytes that are not acknowledged; of a listener the limit of its queue.
    pub send_queue: u32,
    /// Its timer.
    pub timer: Timer,
    /// For how long nothing has come or gone, ns; `None`: not told.
    pub idle_ns: Option<u64>,
}

/// A listener and its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens.
    pub local: Place,
    /// Inode number.
    pub inode: u32,
    /// Connections that wait for accept().
    pub waiting: u32,
    /// The same at the first sample; `None`: it was not there, or not looked at.
    pub waited: Option<u32>,
    /// Limit: the kernel drops when more than this wait.
    pub limit: u32,
}

/// Connections from one address to one address and port: each needs a local port of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Route {
    /// Address of this side.
    pub from: IpAddr,
    /// The other side.
    pub to: Place,
}

/// How many of something, and how many of these have something about them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// All.
    pub all: u64,
    /// Those.
    pub those: u64,
}

/// Sockets that are idle without keepalive, on one side of something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Idle {
    /// How many.
    pub count: u64,
    /// The longest, ns.
    pub longest_ns: u64,
    /// Inode numbers of some.
    pub inodes: Vec<u32>,
}

/// What was counted.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Sockets by state, by its number.
    states: HashMap<State, u64>,
    /// Listeners.
    pub listeners: Vec<Listener>,
    /// Where they listen.
    listening: HashSet<Place>,
    /// Those in TIME_WAIT whose connections this side has accepted, by the local end.
    pub time_wait_served: HashMap<Place, u64>,
    /// Those in TIME_WAIT that this side had connected, by destination.
    pub time_wait_called: HashMap<Place, u64>,
    /// Uses of local ports of the ephemeral range, and those in TIME_WAIT.
    pub routes: HashMap<Route, Share>,
    /// Handshakes that have begun, by local port, and those whose answer was sent again.
    pub half_open: HashMap<u16, Share>,
    /// Connects under way by destination, and those whose SYN was sent again.
    pub connecting: HashMap<Place, Share>,
    /// Inode numbers of some of the latter.
    unanswered: HashMap<Place, Vec<u32>>,
    /// Closes that the peer does not acknowledge, by its address; of these those without a process.
    pub stuck: HashMap<IpAddr, Share>,
    /// Sockets in ESTABLISHED without a timer, idle for long, by the remote end where this side has
    /// connected, else by the local one.
    pub idle: HashMap<Place, Idle>,
    /// Sockets in CLOSE_WAIT.
    pub close_wait: Vec<Seen>,
    /// Inode numbers of some sockets to each destination.
    users: HashMap<Place, Vec<u32>>,
    /// Local ends of all sockets that are no listeners.
    ends: HashSet<Place>,
    /// Their addresses: some that this host has.
    addresses: HashSet<IpAddr>,
}

impl Tally {
    /// Takes up a listener; all of them come before the first other socket.
    pub fn add_listener(&mut self, seen: &Seen) {
        *self.states.entry(State::Listen).or_default() += 1;
        self.listening.insert(seen.local);
        self.listeners.push(Listener {
            local: seen.local,
            inode: seen.inode,
            waiting: seen.receive_queue,
            waited: None,
            limit: seen.send_queue,
        });
    }

    /// Takes up how many connections waited for accept() at the first sample, by inode number.
    pub fn add_first_sample(&mut self, waited: &HashMap<u32, u32>) {
        for listener in &mut self.listeners {
            listener.waited = waited.get(&listener.inode).copied();
        }
    }

    /// Takes up any other socket. `ephemeral`: the ports that the kernel gives out; `min_idle_ns`:
    /// what counts as idle.
    pub fn add(&mut self, seen: &Seen, ephemeral: Option<&Ephemeral>, min_idle_ns: u64) {
        *self.states.entry(seen.state).or_default() += 1;
        let is_called = !self.is_served(seen, ephemeral);
        self.add_port_use(seen, is_called, ephemeral);
        match seen.state {
            State::TimeWait if is_called => add(&mut self.time_wait_called, seen.remote),
            State::TimeWait => add(&mut self.time_wait_served, seen.local),
            State::SynRecv | State::NewSynRecv => {
                self.half_open.entry(seen.local.port()).or_default().add(is_retried(seen));
            }
            State::SynSent => self.add_connecting(seen),
            State::FinWait1 | State::Closing | State::LastAck if is_stuck(seen) => {
                self.stuck.entry(seen.remote.ip()).or_default().add(seen.inode == 0);
            }
            State::CloseWait => self.close_wait.push(*seen),
            State::Established => self.add_idle(seen, is_called, min_idle_ns),
            _ => {}
        }
        if is_called && seen.inode != 0 {
            self.add_user(seen);
        }
    }

    /// Whether this side has accepted the connection. Where nobody listens there any more, the ports
    /// tell: that of a client is one that the kernel gives out.
    fn is_served(&self, seen: &Seen, ephemeral: Option<&Ephemeral>) -> bool {
        if self.listens_at(&seen.local) {
            return true;
        }
        let is_given_out = |port| ephemeral.is_some_and(|ports| ports.has(port));
        is_given_out(seen.remote.port()) && !is_given_out(seen.local.port())
    }

    fn add_connecting(&mut self, seen: &Seen) {
        self.connecting.entry(seen.remote).or_default().add(is_retried(seen));
        if is_retried(seen) {
            add_some(self.unanswered.entry(seen.remote).or_default(), seen.inode);
        }
    }

    fn add_port_use(&mut self, seen: &Seen, is_called: bool, ephemeral: Option<&Ephemeral>) {
        if is_called && ephemeral.is_some_and(|ports| ports.has(seen.local.port())) {
            let route = Route { from: seen.local.ip(), to: seen.remote };
            self.routes.entry(route).or_default().add(seen.state == State::TimeWait);
        }
        self.ends.insert(seen.local);
        self.addresses.insert(seen.local.ip());
    }

    fn add_idle(&mut self, seen: &Seen, is_called: bool, min_idle_ns: u64) {
        let Some(idle_ns) = seen.idle_ns.filter(|idle_ns| *idle_ns >= min_idle_ns) else {
            return;
        };
        if seen.timer != Timer::None {
            return;
        }
        let idle = self.idle.entry(if is_called { seen.remote } else { seen.local }).or_default();
        idle.count += 1;
        idle.longest_ns = idle.longest_ns.max(idle_ns);
        add_some(&mut idle.inodes, seen.inode);
    }

    fn add_user(&mut self, seen: &Seen) {
        let has_room = self.users.len() < MOST_DESTINATIONS;
        if !has_room && !self.users.contains_key(&seen.remote) {
            return;
        }
        add_some(self.users.entry(seen.remote).or_default(), seen.inode);
    }

    /// How many sockets are in a state.
    #[must_use]
    pub fn count(&self, state: State) -> u64 {
        self.states.get(&state).copied().unwrap_or(0)
    }

    /// How many sockets there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.states.values().sum()
    }

    /// Inode numbers of some sockets that this side has connected to a place.
    #[must_use]
    pub fn users_of(&self, destination: &Place) -> &[u32] {
        self.users.get(destination).map_or(&[], Vec::as_slice)
    }

    /// Inode numbers of some sockets whose SYN to a place was sent again.
    #[must_use]
    pub fn unanswered_to(&self, destination: &Place) -> &[u32] {
        self.unanswered.get(destination).map_or(&[], Vec::as_slice)
    }

    /// Listeners that take connections to a place: those of its address, else those of all
    /// addresses.
    #[must_use]
    pub fn listeners_at(&self, place: &Place) -> Vec<&Listener> {
        let at = |wanted: &dyn Fn(IpAddr) -> bool| -> Vec<&Listener> {
            let all = self.listeners.iter();
            all.filter(|own| own.local.port() == place.port() && wanted(own.local.ip())).collect()
        };
        let exact = at(&|addr| addr == place.ip());
        if exact.is_empty() { at(&|addr| addr.is_unspecified()) } else { exact }
    }

    /// Whether somebody listens at a place.
    #[must_use]
    pub fn listens_at(&self, place: &Place) -> bool {
        let everywhere = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let mut addresses = everywhere.into_iter().chain([place.ip()]);
        addresses.any(|address| self.listening.contains(&Place::new(address, place.port())))
    }

    /// Whether a place is on this host, and its socket is gone.
    #[must_use]
    pub fn was_here(&self, place: &Place) -> bool {
        self.addresses.contains(&place.ip()) && !self.ends.contains(place)
    }
}

impl Share {
    fn add(&mut self, is_one_of_those: bool) {
        self.all += 1;
        self.those += u64::from(is_one_of_those);
    }
}

fn add<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u64>, key: K) {
    *counts.entry(key).or_default() += 1;
}

/// Some are enough to tell whose they are.
fn add_some(inodes: &mut Vec<u32>, inode: u32) {
    if inodes.len() < MOST_USERS {
        inodes.push(inode);
    }
}

fn is_retried(seen: &Seen) -> bool {
    matches!(seen.timer, Timer::Retransmit(1..))
}

/// Sent again and again, or waiting for a window that the peer has closed.
fn is_stuck(seen: &Seen) -> bool {
    matches!(seen.timer, Timer::Retransmit(STUCK_RETRIES..) | Timer::Probe)
}

/// The entries with the most, by descending number.
#[must_use]
pub fn most<K: Copy + Ord, V>(counts: &HashMap<K, V>, of: impl Fn(&V) -> u64) -> Vec<(K, u64)> {
    let mut all: Vec<(K, u64)> = counts.iter().map(|(key, value)| (*key, of(value))).collect();
    all.sort_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
    all
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn place(text: &str) -> Place {
        text.parse().unwrap()
    }

    pub fn seen(state: State, local: &str, remote: &str) -> Seen {
        Seen {
            state,
            local: place(local),
            remote: place(remote),
            inode: 7,
            cookie: 1,
            receive_queue: 0,
            send_queue: 0,
            timer: Timer::None,
            idle_ns: None,
        }
    }

    fn tally(sockets: &[Seen]) -> Tally {
        let ports = Ephemeral::parse("40000 40009", "").unwrap();
        let mut tally = Tally::default();
        tally.add_listener(&seen(State::Listen, "0.0.0.0:80", "0.0.0.0:0"));
        sockets.iter().for_each(|socket| tally.add(socket, Some(&ports), 1000));
        tally
    }

    #[test]
    fn the_local_port_tells_who_has_connected() {
        let served = seen(State::TimeWait, "10.0.0.1:80", "10.0.0.2:40001");
        let called = seen(State::TimeWait, "10.0.0.1:40001", "10.0.0.9:5432");
        let tally = tally(&[served, called, called]);
        assert_eq!(tally.time_wait_served, HashMap::from([(place("10.0.0.1:80"), 1)]));
        assert_eq!(tally.time_wait_called, HashMap::from([(place("10.0.0.9:5432"), 2)]));
        let route = Route { from: place("10.0.0.1:0").ip(), to: place("10.0.0.9:5432") };
        assert_eq!(tally.routes, HashMap::from([(route, Share { all: 2, those: 2 })]));
        assert_eq!(tally.count(State::TimeWait), 3);
    }

    #[test]
    fn a_server_that_is_gone_was_one_and_another_address_is_another_server() {
        let mut tally = Tally::default();
        let ports = Ephemeral::parse("40000 40009", "").unwrap();
        tally.add_listener(&seen(State::Listen, "127.0.0.1:8000", "0.0.0.0:0"));
        for local in ["127.0.0.1:8000", "127.0.0.2:8000", "127.0.0.1:9000"] {
            tally.add(&seen(State::TimeWait, local, "127.0.0.1:40001"), Some(&ports), 1000);
        }
        assert_eq!(tally.time_wait_served.len(), 3, "{:?}", tally.time_wait_served);
        assert_eq!(tally.listeners_at(&place("127.0.0.1:8000")).len(), 1);
        assert!(tally.listeners_at(&place("127.0.0.2:8000")).is_empty());
        tally.add_listener(&seen(State::Listen, "[::]:8000", "[::]:0"));
        assert_eq!(tally.listeners_at(&place("127.0.0.2:8000")).len(), 1, "that takes all");
    }

    #[test]
    fn a_peer_was_here_when_its_address_is_and_its_socket_is_not() {
        let server = seen(State::CloseWait, "127.0.0.1:80", "127.0.0.1:40003");
        let tally = tally(&[server, seen(State::Established, "10.0.0.1:9", "10.0.0.2:9")]);
        assert!(tally.was_here(&place("127.0.0.1:40003")));
        assert!(!tally.was_here(&place("10.0.0.1:9")), "it is here still");
        assert!(!tally.was_here(&place("10.0.0.2:9")), "it is elsewhere");
    }

    #[test]
    fn idle_is_who_has_no_timer_for_long_enough() {
        let socket = seen(State::Established, "10.0.0.1:40001", "10.0.0.9:5432");
        let idle = |idle_ns, timer| Seen { idle_ns: Some(idle_ns), timer, ..socket };
        let tally = tally(&[
            idle(1500, Timer::None),
            idle(2500, Timer::None),
            idle(900, Timer::None),
            idle(5000, Timer::Keepalive(1)),
            socket,
        ]);
        let found = &tally.idle[&place("10.0.0.9:5432")];
        assert_eq!((found.count, found.longest_ns), (2, 2500));
    }

    #[test]
    fn stuck_is_what_was_sent_three_times_again() {
        let socket = seen(State::LastAck, "10.0.0.1:80", "10.0.0.9:40000");
        let sent = |count, inode| Seen { timer: Timer::Retransmit(count), inode, ..socket };
        let tally = tally(&[sent(2, 0), sent(3, 0), sent(9, 5)]);
        assert_eq!(tally.stuck[&place("10.0.0.9:1").ip()], Share { all: 2, those: 1 });
    }
}

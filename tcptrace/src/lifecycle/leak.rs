//! From a snapshot to the leaks in it.

use std::collections::{HashMap, HashSet};

use tcptrace_common::row::row_flag;
use tcptrace_common::tcp::{IPPROTO_MPTCP, IPPROTO_TCP, state};

use super::age::Age;
use super::cause::Kind;
use super::history::History;
use super::jiffies::Jiffies;
use super::listener::{Listeners, describe, group_holders, party};
use super::report::{Eof, Leak};
use super::rows::{Held, Rows, SocketNow};
use super::socket::{Endpoints, Role};
use super::stack::Stack;
use super::verdict::Case;

/// Shortest span without sending that ends a half-close, ns.
const QUIET_NS: u64 = 5_000_000_000;

/// What the search needs to know besides the rows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Question {
    /// A socket leaks once it has been so for this long, ns.
    pub min_age_ns: u64,
    /// How long the trace has run, ns.
    pub traced_ns: u64,
    /// Wall clock minus monotonic clock, ns.
    pub wall_offset_ns: u64,
    /// Whether no process can be hidden from the tool.
    pub sees_all_processes: bool,
}

impl Question {
    /// The wall time, ns since 1970, of a moment on the monotonic clock.
    fn wall_ns(&self, monotonic_ns: u64) -> u64 {
        monotonic_ns.saturating_add(self.wall_offset_ns)
    }
}

/// What a snapshot shows.
#[derive(Debug, Default)]
pub struct Findings {
    /// Leaks, half-closed sockets among them.
    pub leaks: Vec<Leak>,
    /// Sockets in CLOSE_WAIT or dead, whatever their age.
    pub checked: u64,
    /// Whether a second snapshot would tell more of one of the leaks.
    pub needs_second_look: bool,
}

/// Finds every leak in a snapshot.
#[must_use]
pub fn find(rows: &Rows, history: &History, question: &Question) -> Findings {
    let jiffies = rows
        .sockets
        .iter()
        .chain(rows.held.iter().map(|held| &held.socket))
        .find_map(|socket| Jiffies::calibrate(socket.row.now_ns, socket.row.jiffies));
    let search = Search {
        holders: rows.holders(),
        mptcp_listeners: mptcp_listeners(rows),
        listeners: Listeners::of(rows),
        history,
        question,
        jiffies,
    };
    let mut findings = Findings::default();
    for socket in close_wait(rows) {
        search.close_wait(socket, &mut findings);
    }
    for socket in dead(rows) {
        search.dead(socket, &mut findings);
    }
    findings
}

/// Sockets in CLOSE_WAIT: those of the socket tables, and those that are known by a descriptor
/// alone because their namespace could not be read.
fn close_wait(rows: &Rows) -> impl Iterator<Item = &SocketNow> {
    let unread = rows.held.iter().map(|held| &held.socket);
    let unread = unread.filter(|socket| !rows.namespaces.is_read(socket.row.netns));
    let mut seen = HashSet::new();
    rows.sockets
        .iter()
        .chain(unread)
        .filter(|socket| socket.row.state == state::CLOSE_WAIT)
        .filter(|socket| socket.row.protocol == IPPROTO_TCP && !socket.has(row_flag::SUBFLOW))
        .filter(move |socket| seen.insert(socket.row.cookie))
}

/// Sockets in CLOSE that a descriptor holds; only descriptors show them.
fn dead(rows: &Rows) -> impl Iterator<Item = &SocketNow> {
    let mut seen = HashSet::new();
    rows.held
        .iter()
        .map(|held| &held.socket)
        .filter(|socket| socket.row.state == state::CLOSE && socket.row.protocol == IPPROTO_TCP)
        .filter(move |socket| seen.insert(socket.row.cookie))
}

fn mptcp_listeners(rows: &Rows) -> HashMap<u64, Vec<&Held>> {
    let mut listeners: HashMap<u64, Vec<&Held>> = HashMap::new();
    for held in &rows.held {
        let row = &held.socket.row;
        if row.protocol == IPPROTO_MPTCP && row.state == state::LISTEN {
            listeners.entry(row.inode).or_default().push(held);
        }
    }
    listeners
}

struct Search<'a> {
    holders: HashMap<u64, Vec<&'a Held>>,
    /// Descriptors for listeners of MPTCP, by inode.
    mptcp_listeners: HashMap<u64, Vec<&'a Held>>,
    listeners: Listeners<'a>,
    history: &'a History,
    question: &'a Question,
    jiffies: Option<Jiffies>,
}

impl Search<'_> {
    fn case<'b>(&'b self, socket: &'b SocketNow) -> Case<'b> {
        Case {
            socket,
            holders: self.holders.get(&socket.row.cookie).map_or(&[], Vec::as_slice),
            seen: self.history.of(socket),
            jiffies: self.jiffies,
            sees_all_processes: self.question.sees_all_processes,
            quiet_ns: self.question.min_age_ns.max(QUIET_NS),
        }
    }

    fn close_wait(&self, socket: &SocketNow, findings: &mut Findings) {
        findings.checked += 1;
        let case = self.case(socket);
        let age = case.close_wait_age();
        let is_old = |age: Option<u64>| age.is_some_and(|age| age >= self.question.min_age_ns);
        let (is_surely_old, may_be_old) = (is_old(age.at_least()), is_old(age.at_most()));
        if is_surely_old || may_be_old {
            findings.needs_second_look |= case.needs_second_look();
        }
        if !(is_surely_old || (may_be_old && case.is_lower_bound_weak())) {
            return;
        }
        let causes = case.close_wait_causes();
        let Some((cause, evidence)) = causes.split_first() else { return };
        let listener = (!socket.has(row_flag::HAS_SOCKET))
            .then(|| self.listeners.of_child(socket))
            .flatten()
            .map(|own| describe(own, self.holders_of_listener(own), self.question.traced_ns));
        findings.leaks.push(Leak {
            kind: Kind::CloseWait,
            cause: *cause,
            evidence: evidence.to_vec(),
            unread_bytes: Some(case.receive_queue().saturating_sub(1)),
            unsent_bytes: Some(case.unsent()),
            listener,
            ..self.leak(&case, age)
        });
    }

    /// Who has a descriptor for a listener. One of MPTCP is in no table itself; its subflow is,
    /// and shares its inode.
    fn holders_of_listener(&self, listener: &SocketNow) -> &[&Held] {
        let holders = self.holders.get(&listener.row.cookie);
        let holders = holders.or_else(|| self.mptcp_listeners.get(&listener.row.inode));
        holders.map_or(&[], Vec::as_slice)
    }

    fn dead(&self, socket: &SocketNow, findings: &mut Findings) {
        let case = self.case(socket);
        if !case.was_connected() {
            return;
        }
        findings.checked += 1;
        let age = case.dead_age();
        if !self.is_old(age) {
            return;
        }
        let causes = case.dead_causes();
        let Some((cause, evidence)) = causes.split_first() else { return };
        findings.leaks.push(Leak {
            kind: Kind::Dead,
            cause: *cause,
            evidence: evidence.to_vec(),
            ..self.leak(&case, age)
        });
    }

    /// Whether a dead socket is old enough. One that died before the trace began has no lower
    /// bound yet; it counts, unless it certainly is younger.
    fn is_old(&self, age: Age) -> bool {
        match age.at_least() {
            Some(min) if age.is_exact() => min >= self.question.min_age_ns,
            _ => age.at_most().is_none_or(|max| max >= self.question.min_age_ns),
        }
    }

    /// What all kinds of leak have in common.
    fn leak(&self, case: &Case<'_>, age: Age) -> Leak {
        let row = &case.socket.row;
        let memory = case.socket.memory.as_ref();
        let now = Endpoints::from_tuple(&row.tuple);
        Leak {
            kind: Kind::Dead,
            cause: super::cause::Cause::DeadClosed,
            evidence: Vec::new(),
            cookie: row.cookie,
            netns: row.netns,
            ends: memory.map_or(now, |memory| now.or(Endpoints::from_tuple(&memory.tuple))),
            role: memory.map_or(Role::Unknown, |memory| Role::from_kernel(memory.role)),
            seen_ns: self.question.wall_ns(row.now_ns),
            age: case.said(age),
            unread_bytes: None,
            unsent_bytes: None,
            keepalive: case.socket.has(row_flag::KEEPALIVE),
            opener: case.opener().and_then(party),
            open_stack: Stack::of_opening(memory),
            holders: group_holders(case.holders),
            listener: None,
            service_port: self
                .listeners
                .by_address(case.socket)
                .map(|own| own.row.tuple.local_port),
            eof: self.eof(case),
        }
    }

    fn eof(&self, case: &Case<'_>) -> Option<Eof> {
        let memory = case.witness()?;
        Some(Eof {
            time_ns: self.question.wall_ns(memory.eof_ns),
            reader: party(&memory.eof_reader).unwrap_or_default(),
            stack: Stack::of_id(memory.eof_stack),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::lifecycle::cause::Cause;
    use crate::lifecycle::rows::tests::sample_row;
    use tcptrace_common::memory::Task;
    use tcptrace_common::row::SocketRow;

    const SECOND: u64 = 1_000_000_000;
    const NOW: u64 = 1000 * SECOND;
    /// Ns since 1970.
    const BOOT: u64 = 1_800_000_000 * SECOND;
    const JIFFIES: u64 = (1 << 32) - 300 * 250 + 1000 * 250;

    /// A leak about which nothing is known but that it is one.
    pub fn sample_leak() -> Leak {
        let nowhere = super::super::socket::Endpoint { addr: None, port: None };
        Leak {
            kind: Kind::CloseWait,
            cause: Cause::EofNotRead,
            evidence: Vec::new(),
            cookie: 1,
            netns: 1,
            ends: Endpoints { local: nowhere, remote: nowhere },
            role: Role::Unknown,
            seen_ns: 0,
            age: Age::Unknown,
            unread_bytes: None,
            unsent_bytes: None,
            keepalive: false,
            opener: None,
            open_stack: Stack::of_id(0),
            holders: Vec::new(),
            listener: None,
            service_port: None,
            eof: None,
        }
    }

    fn socket(cookie: u64, state: u8, ack_s: u64, data_s: u64) -> SocketNow {
        let ago = |seconds: u64| (JIFFIES - seconds * 250) as u32;
        let row = SocketRow {
            sk: cookie,
            cookie,
            state,
            netns: 1,
            protocol: IPPROTO_TCP,
            now_ns: NOW,
            jiffies: JIFFIES,
            last_ack_received: ago(ack_s),
            last_data_received: ago(data_s),
            ..sample_row()
        };
        SocketNow { row, memory: None }
    }

    fn held(socket: SocketNow) -> Held {
        Held { task: Task { pid: 5, start_ns: 50, ..Task::default() }, fd: 3, socket }
    }

    fn leaks(rows: &Rows) -> Vec<Leak> {
        let question = Question {
            min_age_ns: 30 * SECOND,
            traced_ns: 0,
            wall_offset_ns: BOOT,
            sees_all_processes: true,
        };
        find(rows, &History::default(), &question).leaks
    }

    fn found(rows: &Rows) -> Vec<u64> {
        leaks(rows).iter().map(|leak| leak.cookie).collect()
    }

    fn tables(sockets: Vec<SocketNow>, held: Vec<Held>) -> Rows {
        let mut rows = Rows { sockets, held, ..Rows::default() };
        rows.namespaces.note_read(1);
        rows
    }

    #[test]
    fn the_lower_bound_decides_unless_probes_reset_it() {
        let old = socket(1, state::CLOSE_WAIT, 40, 50);
        let young = socket(2, state::CLOSE_WAIT, 10, 50);
        let mut probed = socket(3, state::CLOSE_WAIT, 10, 50);
        probed.row.flags |= row_flag::KEEPALIVE;
        let mut fresh = socket(4, state::CLOSE_WAIT, 10, 20);
        fresh.row.flags |= row_flag::KEEPALIVE;
        assert_eq!(found(&tables(vec![old, young, probed, fresh], vec![])), [1, 3]);
    }

    /// After a hundred days more than half of the 32 bits of a stamp have gone by, after two hundred
    /// all.
    #[test]
    fn a_leak_of_months_is_one() {
        const DAY: u64 = 86_400;
        let aged = |uptime: u64, age: u64, state: u8| {
            let now = (1 << 32) - 300 * 250 + uptime * DAY * 250;
            let mut socket = socket(1, state, 0, 0);
            socket.row.now_ns = uptime * DAY * SECOND;
            socket.row.jiffies = now;
            socket.row.last_ack_received = (now - age * DAY * 250) as u32;
            socket.row.last_data_received = (now - (age + 1) * DAY * 250) as u32;
            let found = leaks(&tables(vec![socket], vec![held(socket)]));
            found.first().map(|leak| leak.age)
        };
        let days = |days: u64| days * DAY * SECOND;
        let tick = SECOND / 250;
        let between = |max| Some(Age::Between { min: days(120) - tick, max });
        let to = days(121) + tick;
        assert_eq!(aged(150, 120, state::CLOSE_WAIT), between(Some(to)));
        assert_eq!(aged(150, 120, state::CLOSE), Some(Age::AtMost(to)));
        assert_eq!(aged(250, 120, state::CLOSE_WAIT), between(None));
        assert_eq!(aged(250, 120, state::CLOSE), Some(Age::Unknown));
    }

    /// However long the rest of the look took.
    #[test]
    fn its_time_is_that_of_its_row() {
        let mut later = socket(2, state::CLOSE_WAIT, 40, 50);
        later.row.now_ns += SECOND;
        let rows = tables(vec![socket(1, state::CLOSE_WAIT, 40, 50), later], vec![]);
        let seen: Vec<_> = leaks(&rows).iter().map(|leak| leak.seen_ns).collect();
        assert_eq!(seen, [BOOT + NOW, BOOT + NOW + SECOND]);
    }

    #[test]
    fn a_descriptor_of_a_socket_that_is_gone_from_its_table_is_no_leak() {
        let closed = socket(1, state::CLOSE_WAIT, 40, 50);
        assert_eq!(found(&tables(vec![], vec![held(closed)])), Vec::<u64>::new());
        let mut elsewhere = closed;
        elsewhere.row.netns = 2;
        assert_eq!(found(&tables(vec![], vec![held(elsewhere)])), [1], "that table was not read");
    }

    #[test]
    fn a_dead_socket_of_several_holders_is_reported_once() {
        let dead = socket(1, state::CLOSE, 40, 50);
        assert_eq!(found(&tables(vec![], vec![held(dead), held(dead)])), [1]);
        let fresh = socket(2, state::CLOSE, 5, 20);
        assert_eq!(found(&tables(vec![], vec![held(fresh)])), Vec::<u64>::new());
    }

    #[test]
    fn subflows_of_mptcp_are_not_judged() {
        let mut subflow = socket(1, state::CLOSE_WAIT, 40, 50);
        subflow.row.flags |= row_flag::SUBFLOW;
        let rows = tables(vec![subflow], vec![]);
        assert_eq!(found(&rows), Vec::<u64>::new());
        assert_eq!(rows.mptcp(), 1);
    }
}

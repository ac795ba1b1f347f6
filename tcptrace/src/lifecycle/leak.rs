//! From a snapshot to the leaks in it.

use std::collections::{HashMap, HashSet};

use tcptrace_common::row::row_flag;
use tcptrace_common::tcp::{IPPROTO_TCP, state};

use super::age::Age;
use super::cause::Kind;
use super::history::History;
use super::jiffies::Jiffies;
use super::listener::{Listeners, describe, group_holders, party};
use super::report::{Eof, Leak};
use super::rows::{Held, Rows, SocketNow};
use super::socket::{Endpoints, Role};
use super::verdict::Case;

/// Shortest span without sending that ends a half-close, ns.
const QUIET_NS: u64 = 5_000_000_000;

/// What the search needs to know besides the rows.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// A socket leaks once it has been so for this long, ns.
    pub min_age_ns: u64,
    /// How long the trace has run, ns.
    pub traced_ns: u64,
    /// Wall clock minus monotonic clock, ns.
    pub wall_offset_ns: u64,
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
    let unread = unread.filter(|socket| !rows.namespaces.contains(&socket.row.netns));
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

struct Search<'a> {
    holders: HashMap<u64, Vec<&'a Held>>,
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
            quiet_ns: self.question.min_age_ns.max(QUIET_NS),
        }
    }

    fn close_wait(&self, socket: &SocketNow, findings: &mut Findings) {
        findings.checked += 1;
        let case = self.case(socket);
        let age = case.close_wait_age();
        if age.at_least().is_none_or(|age| age < self.question.min_age_ns) {
            return;
        }
        findings.needs_second_look |= case.needs_second_look();
        let causes = case.close_wait_causes();
        let Some((cause, evidence)) = causes.split_first() else { return };
        let listener = (!socket.has(row_flag::HAS_SOCKET))
            .then(|| self.listeners.of_child(socket))
            .flatten()
            .map(|listener| {
                let holders = self.holders.get(&listener.row.cookie);
                describe(listener, holders.map_or(&[], Vec::as_slice), self.question.traced_ns)
            });
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
            age,
            unread_bytes: None,
            unsent_bytes: None,
            keepalive: case.socket.has(row_flag::KEEPALIVE),
            opener: case.opener().and_then(party),
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
            time_ns: memory.eof_ns + self.question.wall_offset_ns,
            reader: party(&memory.eof_reader).unwrap_or_default(),
        })
    }
}

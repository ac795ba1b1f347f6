//! From a connection that was never accepted to its listener.

use std::collections::HashMap;

use tcptrace_common::memory::{Task, Tuple};
use tcptrace_common::tcp::{AF_INET, AF_INET6, state};

use super::age::Age;
use super::report::{Holder, Listener, Party};
use super::rows::{Held, Rows, SocketNow};
use super::socket::Endpoints;
use super::stack::Stack;
use super::text;

/// The listeners of one snapshot.
pub struct Listeners<'a> {
    by_address: HashMap<(u32, u16), Vec<&'a SocketNow>>,
    by_sk: HashMap<u64, &'a SocketNow>,
}

impl<'a> Listeners<'a> {
    /// Collects them.
    #[must_use]
    pub fn of(rows: &'a Rows) -> Self {
        let listeners = rows.sockets.iter().filter(|socket| socket.row.state == state::LISTEN);
        let mut by_address: HashMap<_, Vec<_>> = HashMap::new();
        for listener in listeners.clone() {
            let place = (listener.row.netns, listener.row.tuple.local_port);
            by_address.entry(place).or_default().push(listener);
        }
        Self { by_address, by_sk: listeners.map(|listener| (listener.row.sk, listener)).collect() }
    }

    /// The listener that a connection came through: that in whose queue it was found, else the
    /// one whose address fits and whose queue is not empty. With `SO_REUSEPORT` several may fit;
    /// then nobody is named.
    #[must_use]
    pub fn of_child(&self, child: &SocketNow) -> Option<&'a SocketNow> {
        let queued = self.by_sk.get(&child.row.listener).copied();
        let queued = queued.filter(|listener| {
            listener.row.netns == child.row.netns
                && listener.row.tuple.local_port == child.row.tuple.local_port
        });
        queued.or_else(|| {
            let mut fitting = self.fitting(child).into_iter().filter(|own| own.row.backlog > 0);
            let first = fitting.next()?;
            fitting.next().is_none().then_some(first)
        })
    }

    /// A listener whose address fits a connection's local end.
    #[must_use]
    pub fn by_address(&self, child: &SocketNow) -> Option<&'a SocketNow> {
        self.fitting(child).first().copied()
    }

    /// The listeners at a connection's very address, else those at the wildcard.
    fn fitting(&self, child: &SocketNow) -> Vec<&'a SocketNow> {
        let tuple = &child.row.tuple;
        let place = (child.row.netns, tuple.local_port);
        let candidates = self.by_address.get(&place).map_or(&[][..], Vec::as_slice);
        let select = |fits: &dyn Fn(&Tuple) -> bool| -> Vec<&'a SocketNow> {
            candidates.iter().copied().filter(|own| fits(&own.row.tuple)).collect()
        };
        let bound = select(&|own| same_address(own, tuple));
        if bound.is_empty() { select(&is_wildcard) } else { bound }
    }
}

fn same_address(listener: &Tuple, child: &Tuple) -> bool {
    Endpoints::from_tuple(listener).local.addr == Endpoints::from_tuple(child).local.addr
}

fn is_wildcard(tuple: &Tuple) -> bool {
    matches!(tuple.family, AF_INET | AF_INET6) && tuple.local_addr == [0; 16]
}

/// What a report says of a listener.
#[must_use]
pub fn describe(listener: &SocketNow, holders: &[&Held], traced_ns: u64) -> Listener {
    let memory = listener.memory.as_ref();
    Listener {
        local: Endpoints::from_tuple(&listener.row.tuple).local,
        backlog: listener.row.backlog,
        backlog_max: listener.row.backlog_max,
        last_accept: last_accept(listener, traced_ns),
        accept_error: memory.and_then(|memory| error_name(memory.end_error)),
        opener: memory.and_then(|memory| party(&memory.opener)),
        listen_stack: Stack::of_opening(memory),
        holders: group_holders(holders),
    }
}

/// The name of an error that the kernel side remembers of accept().
fn error_name(number: i32) -> Option<&'static str> {
    match number {
        12 => Some("ENOMEM"),
        23 => Some("ENFILE"),
        24 => Some("EMFILE"),
        105 => Some("ENOBUFS"),
        _ => None,
    }
}

/// Exact where an accept() was seen, else no shorter than the trace or the listener's own life.
fn last_accept(listener: &SocketNow, traced_ns: u64) -> Age {
    let since = |time: u64| (time != 0).then(|| listener.row.now_ns.saturating_sub(time));
    let memory = listener.memory.as_ref();
    match memory.and_then(|memory| since(memory.last_accept_ns)) {
        Some(age) => Age::Exact(age),
        None => {
            let listening = memory.and_then(|memory| since(memory.opened_ns));
            Age::Between { min: listening.unwrap_or(traced_ns), max: listening }
        }
    }
}

/// A process as the kernel side saw it; `None` where it saw none. Names that only the process
/// itself can tell are not filled in.
#[must_use]
pub fn party(task: &Task) -> Option<Party> {
    (task.pid != 0).then(|| Party {
        pid: task.pid,
        tid: Some(task.tid),
        comm: text::from_padded(&task.comm),
        start_time_ns: task.start_ns,
        ..Party::default()
    })
}

/// One [`Holder`] for each process, with its descriptors, in the order of pids.
#[must_use]
pub fn group_holders(held: &[&Held]) -> Vec<Holder> {
    let mut holders: Vec<Holder> = Vec::new();
    for held in held {
        let Some(party) = party(&held.task) else { continue };
        let party = Party { tid: None, ..party };
        match holders.iter_mut().find(|holder| holder.party == party) {
            Some(holder) => holder.fds.push(held.fd),
            None => holders.push(Holder { party, fds: vec![held.fd], ..Holder::default() }),
        }
    }
    holders.iter_mut().for_each(|holder| {
        holder.fds.sort_unstable();
        holder.fds.dedup();
    });
    holders.sort_by_key(|holder| holder.party.pid);
    holders
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcptrace_common::row::SocketRow;

    fn listener(sk: u64, last: u8, port: u16) -> SocketNow {
        let mut local_addr = [0; 16];
        if last != 0 {
            local_addr[..4].copy_from_slice(&[10, 0, 0, last]);
        }
        let tuple = Tuple { family: AF_INET, local_addr, local_port: port, ..Tuple::default() };
        let row = SocketRow {
            sk,
            state: state::LISTEN,
            netns: 1,
            tuple,
            backlog: 1,
            ..SocketRow::default()
        };
        SocketNow { row, memory: None }
    }

    fn child(sk: u64) -> SocketNow {
        let mut child = listener(sk, 7, 80);
        child.row.state = state::CLOSE_WAIT;
        child
    }

    fn found(listeners: Vec<SocketNow>, queued_at: u64) -> Option<u64> {
        let rows = Rows { sockets: listeners, ..Rows::default() };
        let mut child = child(99);
        child.row.listener = queued_at;
        Listeners::of(&rows).of_child(&child).map(|listener| listener.row.sk)
    }

    #[test]
    fn the_queue_decides_between_listeners_that_share_an_address() {
        let pair = || vec![listener(1, 7, 80), listener(2, 7, 80)];
        assert_eq!(found(pair(), 2), Some(2));
        assert_eq!(found(pair(), 0), None, "nobody is named on a guess");
        let mut one_idle = pair();
        one_idle[0].row.backlog = 0;
        assert_eq!(found(one_idle, 0), Some(2), "whose queue is empty has no such child");
        assert_eq!(found(vec![listener(1, 7, 80), listener(2, 7, 81)], 2), Some(1), "reused sk");
    }

    #[test]
    fn without_the_queue_an_exact_address_beats_the_wildcard() {
        assert_eq!(found(vec![listener(1, 0, 80), listener(2, 7, 80)], 0), Some(2));
        assert_eq!(found(vec![listener(1, 0, 80), listener(2, 8, 80)], 0), Some(1));
        assert_eq!(found(vec![listener(1, 0, 81)], 0), None);
    }

    #[test]
    fn descriptors_of_one_process_are_one_holder() {
        let held = |pid, fd| Held {
            task: Task { pid, tid: pid, start_ns: 1, ..Task::default() },
            fd,
            socket: child(1),
        };
        let (a, b, c, again) = (held(2, 9), held(1, 4), held(2, 3), held(2, 9));
        let holders = group_holders(&[&a, &b, &c, &again]);
        let fds: Vec<_> = holders.iter().map(|own| (own.party.pid, own.fds.clone())).collect();
        assert_eq!(fds, [(1, vec![4]), (2, vec![3, 9])]);
    }
}

//! Which sockets there are, told by what happened to them: for a replay, which cannot ask the kernel.
//!
//! A census says who was there; transitions say what became of them. A census takes a while, and
//! transitions go on meanwhile: of a socket that moved since it began, the transitions are believed.
//! Dead sockets, which make no transition when they are closed at last, are told by looks.

use std::collections::{HashMap, HashSet};

use tcptrace_common::memory::Task;
use tcptrace_common::record::bound;

use super::census::Still;
use crate::lifecycle::age::Since;
use crate::lifecycle::census::Counted;
use crate::lifecycle::event::Transition;
use crate::lifecycle::rows::SocketNow;
use crate::lifecycle::socket::{Endpoints, Role, State};
use crate::lifecycle::text::from_padded;

/// The sockets that are in a state, by cookie.
#[derive(Debug, Default)]
pub struct Population {
    sockets: HashMap<u64, Member>,
    taking: Option<Taking>,
    is_known: bool,
}

/// A census that goes on.
#[derive(Debug, Default)]
struct Taking {
    counted: HashMap<u64, Member>,
    /// Those that have moved since it began.
    moved: HashSet<u64>,
}

#[derive(Clone, Debug)]
struct Member {
    state: State,
    since: Since,
    role: Role,
    ends: Endpoints,
    netns: u32,
    opener: Option<Task>,
}

impl Population {
    /// Whether a census has told who was there.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        self.is_known
    }

    /// A socket has moved.
    pub fn apply(&mut self, transition: &Transition) {
        let cookie = transition.record.cookie;
        if cookie == 0 {
            return;
        }
        if let Some(taking) = &mut self.taking {
            taking.moved.insert(cookie);
        }
        match Member::moved(transition) {
            Some(member) => self.sockets.insert(cookie, member),
            None => self.sockets.remove(&cookie),
        };
    }

    /// Some sockets were counted; the first of these say that the census begins.
    pub fn count(&mut self, sockets: &[Counted]) {
        let taking = self.taking.get_or_insert_default();
        let followed = sockets.iter().filter(|own| {
            // These have no transitions, or are not TCP's own.
            own.cookie() != 0 && !own.is_request() && !own.is_of_mptcp()
        });
        taking.counted.extend(followed.map(|own| (own.cookie(), Member::counted(own))));
    }

    /// The census is whole.
    pub fn settle(&mut self) {
        let Taking { mut counted, moved } = self.taking.take().unwrap_or_default();
        for cookie in moved {
            let before = counted.remove(&cookie);
            if let Some(mut own) = self.sockets.remove(&cookie) {
                own.opener = own.opener.or(before.and_then(|before| before.opener));
                counted.insert(cookie, own);
            }
        }
        self.sockets = counted;
        self.is_known = true;
    }

    /// These sockets are dead, and no others.
    pub fn find_dead(&mut self, dead: &[SocketNow]) {
        self.sockets.retain(|_, own| own.state != State::Close);
        for socket in dead {
            let cookie = socket.row.cookie;
            self.sockets.entry(cookie).or_insert_with(|| Member::dead(socket));
        }
    }

    /// The sockets as they are at `now_ns` on the monotonic clock.
    pub fn stills(&self, now_ns: u64) -> impl Iterator<Item = Still> {
        self.sockets.iter().map(move |(cookie, own)| own.still(*cookie, now_ns))
    }
}

impl Member {
    /// `None`: the connection is over.
    fn moved(transition: &Transition) -> Option<Self> {
        let record = &transition.record;
        let since = match record.bound {
            bound::EXACT => Since::Exact(record.time_ns),
            _ => Since::AtLatest(record.time_ns),
        };
        (transition.to != State::Close).then(|| Self {
            state: transition.to,
            since,
            role: Role::from_kernel(record.role),
            ends: Endpoints::from_tuple(&record.tuple),
            netns: record.netns,
            opener: Some(record.opener).filter(|task| task.pid != 0),
        })
    }

    fn counted(socket: &Counted) -> Self {
        Self {
            state: socket.state,
            since: socket.since(),
            role: socket.role(),
            ends: socket.ends,
            netns: socket.netns,
            opener: socket.opener(),
        }
    }

    fn dead(socket: &SocketNow) -> Self {
        let since = socket.current_memory().map_or(0, |memory| memory.since_ns);
        let memory = socket.memory.as_ref();
        Self {
            state: State::Close,
            since: if since == 0 { Since::Unknown } else { Since::Exact(since) },
            role: memory.map_or(Role::Unknown, |memory| Role::from_kernel(memory.role)),
            ends: Endpoints::from_tuple(&socket.row.tuple),
            netns: socket.row.netns,
            opener: memory.map(|memory| memory.opener).filter(|task| task.pid != 0),
        }
    }

    fn still(&self, cookie: u64, now_ns: u64) -> Still {
        Still {
            cookie,
            state: self.state,
            age: self.since.age(now_ns),
            role: self.role,
            ends: self.ends,
            netns: self.netns,
            pid: self.opener.map(|task| task.pid),
            comm: self.opener.map(|task| from_padded(&task.comm)),
        }
    }
}

#[cfg(test)]
mod tests;

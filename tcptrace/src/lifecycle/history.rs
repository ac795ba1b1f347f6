//! What earlier snapshots of this run have shown: it tightens ages and tells what moves.

use std::collections::HashMap;

use tcptrace_common::tcp::state;

use super::rows::{Rows, SocketNow};

/// What was seen of one leaking socket before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// State it was in.
    pub state: u8,
    /// When it was first seen to leak, ns, monotonic clock: it did so at least since then.
    pub since_ns: u64,
    /// Whether in the latest snapshot before it had a `struct socket` and no descriptor.
    pub was_unheld: bool,
    /// First unacknowledged sequence number in the latest snapshot before.
    pub snd_una: u32,
}

/// Sockets that leaked in the latest snapshot, by cookie.
#[derive(Clone, Debug, Default)]
pub struct History {
    seen: HashMap<u64, Seen>,
}

impl History {
    /// What is known of a socket from earlier snapshots, where it was in the same state then, or
    /// was in CLOSE_WAIT and has died since.
    #[must_use]
    pub fn of(&self, socket: &SocketNow) -> Option<Seen> {
        let died =
            |seen: &Seen| seen.state == state::CLOSE_WAIT && socket.row.state == state::CLOSE;
        let seen = self.seen.get(&socket.row.cookie).copied();
        seen.filter(|seen| seen.state == socket.row.state || died(seen))
    }

    /// Whether the latest snapshot showed nobody who holds the socket with this cookie.
    #[must_use]
    pub fn was_unheld(&self, cookie: u64) -> bool {
        self.seen.get(&cookie).is_some_and(|seen| seen.was_unheld)
    }

    /// What is known once a snapshot was taken up; sockets that are not in it any more are
    /// forgotten.
    #[must_use]
    pub fn learned(&self, rows: &Rows) -> Self {
        let leaking = rows.sockets.iter().chain(rows.held.iter().map(|held| &held.socket));
        let leaking = leaking.filter(|socket| socket.row.state != state::LISTEN);
        let unheld = rows.unheld();
        let seen = leaking
            .map(|socket| {
                let since_ns = self.of(socket).map_or(socket.row.now_ns, |seen| seen.since_ns);
                let seen = Seen {
                    state: socket.row.state,
                    since_ns,
                    was_unheld: unheld.contains(&socket.row.cookie),
                    snd_una: socket.row.snd_una,
                };
                (socket.row.cookie, seen)
            })
            .collect();
        Self { seen }
    }

    /// Everything that was seen, by cookie, in any order.
    pub fn entries(&self) -> impl Iterator<Item = (u64, Seen)> {
        self.seen.iter().map(|(cookie, seen)| (*cookie, *seen))
    }
}

impl FromIterator<(u64, Seen)> for History {
    fn from_iter<T: IntoIterator<Item = (u64, Seen)>>(entries: T) -> Self {
        Self { seen: entries.into_iter().collect() }
    }
}

//! What earlier snapshots of this run have shown: it tightens ages and tells what moves.

use std::collections::HashMap;

use tcptrace_common::tcp::state;

use super::rows::{Rows, SocketNow};

/// What was seen of one leaking socket before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// State it was in, then and ever since.
    pub state: u8,
    /// When it was first seen in that state, ns, monotonic clock: it was so at least since then.
    pub since_ns: u64,
    /// Whether it had a `struct socket` in the latest snapshot before.
    pub had_socket: bool,
    /// First unacknowledged sequence number in the latest snapshot before.
    pub snd_una: u32,
}

/// Sockets that leaked in the latest snapshot, by cookie.
#[derive(Clone, Debug, Default)]
pub struct History {
    seen: HashMap<u64, Seen>,
}

impl History {
    /// What is known of a socket from earlier snapshots, where it was in the same state then.
    #[must_use]
    pub fn of(&self, socket: &SocketNow) -> Option<Seen> {
        self.seen.get(&socket.row.cookie).copied().filter(|seen| seen.state == socket.row.state)
    }

    /// Takes up a snapshot; sockets that are not in it any more are forgotten.
    pub fn learn(&mut self, rows: &Rows) {
        let leaking = rows.sockets.iter().chain(rows.held.iter().map(|held| &held.socket));
        let leaking = leaking.filter(|socket| socket.row.state != state::LISTEN);
        self.seen = leaking
            .map(|socket| {
                let since_ns = self.of(socket).map_or(socket.row.now_ns, |seen| seen.since_ns);
                let seen = Seen {
                    state: socket.row.state,
                    since_ns,
                    had_socket: socket.row.inode != 0,
                    snd_una: socket.row.snd_una,
                };
                (socket.row.cookie, seen)
            })
            .collect();
    }
}

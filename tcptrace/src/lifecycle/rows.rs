//! Rows of the iterators, decoded: one snapshot of the kernel.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result, ensure};
use bytes::{Buf as _, Bytes};
use tcptrace_common::Wire;
use tcptrace_common::memory::{SocketMemory, Task};
use tcptrace_common::row::{HolderRow, RowHeader, SocketRow, kind, row_flag};
use tcptrace_common::tcp::{IPPROTO_MPTCP, state};

use super::namespaces::Namespaces;

/// A socket as the kernel has it, with what was remembered of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketNow {
    /// The kernel's words.
    pub row: SocketRow,
    /// `None`: it was never seen by a hook.
    pub memory: Option<SocketMemory>,
}

impl SocketNow {
    /// Whether a flag of [`row_flag`] is set.
    #[must_use]
    pub fn has(&self, flag: u8) -> bool {
        self.row.flags & flag != 0
    }

    /// What is remembered, where the socket is still in the state that was remembered last: then
    /// no transition was missed since.
    #[must_use]
    pub fn current_memory(&self) -> Option<&SocketMemory> {
        self.memory.as_ref().filter(|memory| memory.state == self.row.state)
    }
}

/// A descriptor of a process for a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Whose.
    pub task: Task,
    /// Its number.
    pub fd: u32,
    /// The socket when the descriptor was looked at.
    pub socket: SocketNow,
}

/// One snapshot: descriptors first, then the socket tables.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Descriptors for sockets that leak and for listeners.
    pub held: Vec<Held>,
    /// Sockets in CLOSE_WAIT and listeners.
    pub sockets: Vec<SocketNow>,
    /// Network namespaces.
    pub namespaces: Namespaces,
}

impl Rows {
    /// Adds an iterator's output.
    ///
    /// # Errors
    ///
    /// When the bytes are no sequence of rows; the rows before the damage are kept.
    pub fn decode(&mut self, mut bytes: Bytes) -> Result<()> {
        while bytes.has_remaining() {
            let header: RowHeader = take(&mut bytes)?;
            let length = header.length as usize;
            ensure!(length <= bytes.remaining(), "a row is cut short");
            let mut body = bytes.split_to(length);
            match header.kind {
                kind::SOCKET => self.sockets.push(socket(&mut body)?),
                kind::HOLDER => {
                    let HolderRow { task, fd, .. } = take(&mut body)?;
                    let held = Held { task, fd, socket: socket(&mut body)? };
                    self.namespaces.add_socket(held.socket.row.netns, task.pid, fd);
                    self.held.push(held);
                }
                kind::NAMESPACE => self.namespaces.learn(&take(&mut body)?),
                // A kind that a newer kernel side adds: its length is known, so it is skipped.
                _ => body.clear(),
            }
            ensure!(!body.has_remaining(), "a row of kind {} is too long", header.kind);
        }
        Ok(())
    }

    /// Descriptors by the cookie of their socket.
    #[must_use]
    pub fn holders(&self) -> HashMap<u64, Vec<&Held>> {
        let mut holders: HashMap<u64, Vec<&Held>> = HashMap::new();
        for held in &self.held {
            holders.entry(held.socket.row.cookie).or_default().push(held);
        }
        holders
    }

    /// Sockets in CLOSE_WAIT that have a `struct socket` and no descriptor, by cookie.
    #[must_use]
    pub fn unheld(&self) -> HashSet<u64> {
        let held: HashSet<u64> = self.held.iter().map(|held| held.socket.row.cookie).collect();
        let leaking = self.sockets.iter().map(|socket| &socket.row);
        leaking
            .filter(|row| row.state == state::CLOSE_WAIT && row.inode != 0)
            .map(|row| row.cookie)
            .filter(|cookie| !held.contains(cookie))
            .collect()
    }

    /// Takes over from `later`, another look at the descriptors, those of the sockets in `unheld`,
    /// and takes these out of it.
    pub fn find_holders(&mut self, later: Self, unheld: &mut HashSet<u64>) {
        let mut found = later.held;
        found.retain(|held| unheld.contains(&held.socket.row.cookie));
        found.iter().for_each(|held| _ = unheld.remove(&held.socket.row.cookie));
        self.held.append(&mut found);
    }

    /// Processes that hold listeners.
    #[must_use]
    pub fn servers(&self) -> Vec<Task> {
        let listeners = self.held.iter().filter(|held| held.socket.row.state == state::LISTEN);
        let servers: HashMap<(u32, u64), Task> =
            listeners.map(|held| ((held.task.pid, held.task.start_ns), held.task)).collect();
        servers.into_values().collect()
    }

    /// Whether a descriptor holds a socket whose connection is over.
    #[must_use]
    pub fn has_dead(&self) -> bool {
        self.held.iter().any(|held| held.socket.row.state == state::CLOSE)
    }

    /// Keeps of the dead sockets those that `later`, a second look at the descriptors, shows too:
    /// no table shows a dead socket, so what was closed since can only be told this way.
    pub fn confirm_dead(&mut self, later: &Self) {
        let still: HashSet<u64> = later.held.iter().map(|held| held.socket.row.cookie).collect();
        self.held.retain(|held| {
            held.socket.row.state != state::CLOSE || still.contains(&held.socket.row.cookie)
        });
    }

    /// Forgets namespaces that could not be read and, as `later` shows, have gone meanwhile; keeps of the
    /// sockets in the others those that `later` shows as they were.
    pub fn confirm_unread(&mut self, later: &Self) {
        self.namespaces.forget_gone(&later.namespaces);
        let seen = later.held.iter().map(|held| &held.socket.row);
        let still: HashSet<(u64, u8)> = seen.map(|row| (row.cookie, row.state)).collect();
        let namespaces = &self.namespaces;
        self.held.retain(|held| {
            let row = &held.socket.row;
            namespaces.is_read(row.netns) || still.contains(&(row.cookie, row.state))
        });
    }

    /// Leaves out what is not in one of these network namespaces.
    pub fn keep_namespaces(&mut self, wanted: &[u32]) {
        self.held.retain(|held| wanted.contains(&held.socket.row.netns));
        self.sockets.retain(|socket| wanted.contains(&socket.row.netns));
        self.namespaces.forget_others(wanted);
    }

    /// How many leaking sockets belong to MPTCP, which is not covered: connections by their
    /// descriptors, and subflows.
    #[must_use]
    pub fn mptcp(&self) -> usize {
        let connections: HashSet<u64> = self
            .held
            .iter()
            .map(|held| held.socket.row)
            .filter(|row| row.protocol == IPPROTO_MPTCP && row.state != state::LISTEN)
            .map(|row| row.sk)
            .collect();
        let subflows = self.sockets.iter().filter(|socket| {
            socket.has(row_flag::SUBFLOW) && socket.row.state == state::CLOSE_WAIT
        });
        connections.len() + subflows.count()
    }
}

fn take<T: Wire>(bytes: &mut Bytes) -> Result<T> {
    let value = T::from_bytes(bytes).context("a row is cut short")?;
    bytes.advance(T::SIZE);
    Ok(value)
}

fn socket(body: &mut Bytes) -> Result<SocketNow> {
    let row: SocketRow = take(body)?;
    let remembered = row.flags & row_flag::REMEMBERED != 0;
    let memory: Option<SocketMemory> = remembered.then(|| take(body)).transpose()?;
    // The kernel side may have begun another life at that address while the copy was made.
    Ok(SocketNow { row, memory: memory.filter(|memory| memory.cookie == row.cookie) })
}

#[cfg(test)]
pub(super) mod tests {
    use tcptrace_common::tcp::socket_state;

    use super::*;

    /// An accepted socket whose FIN alone waits.
    pub fn sample_row() -> SocketRow {
        SocketRow {
            cookie: 1,
            inode: 9,
            state: state::CLOSE_WAIT,
            socket_state: socket_state::CONNECTED,
            flags: row_flag::HAS_SOCKET | row_flag::FIN_RECEIVED,
            rcv_nxt: 101,
            copied_seq: 100,
            ..SocketRow::default()
        }
    }

    fn encode(kind: u32, parts: &[&[u8]]) -> Vec<u8> {
        let length = parts.iter().map(|part| part.len()).sum::<usize>() as u32;
        let mut bytes = RowHeader { kind, length }.as_bytes().to_vec();
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }

    fn sample() -> Vec<u8> {
        let plain = SocketRow { cookie: 7, state: state::CLOSE_WAIT, ..SocketRow::default() };
        let remembered = SocketRow { flags: row_flag::REMEMBERED, ..plain };
        let memory = SocketMemory { cookie: 7, ..SocketMemory::default() };
        let holder = HolderRow { fd: 5, ..HolderRow::default() };
        [
            encode(kind::SOCKET, &[plain.as_bytes()]),
            encode(kind::HOLDER, &[holder.as_bytes(), remembered.as_bytes(), memory.as_bytes()]),
            encode(99, &[b"a kind of the future"]),
        ]
        .concat()
    }

    #[test]
    fn decodes_every_kind_and_skips_unknown_ones() {
        let mut rows = Rows::default();
        rows.decode(Bytes::from(sample())).unwrap();
        assert_eq!(rows.sockets.len(), 1);
        assert_eq!(rows.held[0].fd, 5);
        assert_eq!(rows.held[0].socket.memory.unwrap().cookie, 7);
        assert_eq!(rows.holders()[&7].len(), 1);
    }

    #[test]
    fn a_holder_that_one_look_missed_is_taken_from_the_next() {
        let row =
            SocketRow { cookie: 7, inode: 1, state: state::CLOSE_WAIT, ..SocketRow::default() };
        let socket = SocketNow { row, memory: None };
        let mut rows = Rows { sockets: vec![socket], ..Rows::default() };
        let mut unheld = rows.unheld();
        assert_eq!(unheld, HashSet::from([7]));
        let held = Held { task: Task::default(), fd: 3, socket };
        let later = Rows { held: vec![held], ..Rows::default() };
        rows.find_holders(later.clone(), &mut unheld);
        assert!(unheld.is_empty() && rows.unheld().is_empty());
        rows.find_holders(later, &mut unheld);
        assert_eq!(rows.held.len(), 1);
    }

    #[test]
    fn any_cut_is_an_error_or_a_whole_number_of_rows() {
        let whole = sample();
        let socket = RowHeader::SIZE + SocketRow::SIZE;
        let holder = socket + HolderRow::SIZE + SocketMemory::SIZE;
        let ends = [0, socket, socket + holder];
        for length in 0..whole.len() {
            let mut rows = Rows::default();
            let count = |rows: &Rows| rows.sockets.len() + rows.held.len();
            let cut = rows.decode(Bytes::copy_from_slice(&whole[..length]));
            assert!(count(&rows) <= 2);
            assert_eq!(cut.is_err(), !ends.contains(&length), "cut at {length}");
        }
    }

    #[test]
    fn a_memory_of_another_life_is_dropped() {
        let row = SocketRow { cookie: 7, flags: row_flag::REMEMBERED, ..SocketRow::default() };
        let memory = SocketMemory { cookie: 8, ..SocketMemory::default() };
        let mut rows = Rows::default();
        let bytes = encode(kind::SOCKET, &[row.as_bytes(), memory.as_bytes()]);
        rows.decode(Bytes::from(bytes)).unwrap();
        assert_eq!(rows.sockets[0].memory, None);
    }

    #[test]
    fn the_dead_must_be_seen_twice() {
        let held = |cookie, state| Held {
            task: Task::default(),
            fd: 3,
            socket: SocketNow {
                row: SocketRow { cookie, state, ..SocketRow::default() },
                memory: None,
            },
        };
        let rows = |all: &[(u64, u8)]| Rows {
            held: all.iter().map(|(cookie, state)| held(*cookie, *state)).collect(),
            ..Rows::default()
        };
        let mut first = rows(&[(1, state::CLOSE), (2, state::CLOSE), (3, state::LISTEN)]);
        assert!(first.has_dead());
        first.confirm_dead(&rows(&[(2, state::CLOSE)]));
        let left: Vec<u64> = first.held.iter().map(|held| held.socket.row.cookie).collect();
        assert_eq!(left, [2, 3]);
    }

    #[test]
    fn a_namespace_that_has_gone_leaves_no_socket_and_is_not_missed() {
        let seen = |sockets: &[(u64, u32, u8)]| {
            let mut rows = Rows::default();
            for (cookie, netns, state) in sockets {
                let row =
                    SocketRow { cookie: *cookie, netns: *netns, state: *state, ..sample_row() };
                rows.namespaces.add_socket(*netns, 5, 3);
                let socket = SocketNow { row, memory: None };
                rows.held.push(Held { task: Task::default(), fd: 3, socket });
            }
            rows
        };
        let (read, gone, closed) = (1, 2, 3);
        let wait = state::CLOSE_WAIT;
        let mut rows =
            seen(&[(1, read, wait), (2, gone, wait), (3, closed, wait), (4, closed, wait)]);
        rows.namespaces.note_read(read);
        rows.confirm_unread(&seen(&[(3, closed, state::LAST_ACK), (4, closed, wait)]));
        let left: Vec<u64> = rows.held.iter().map(|held| held.socket.row.cookie).collect();
        assert_eq!(left, [1, 4]);
        assert_eq!(rows.namespaces.missed().collect::<Vec<_>>(), [closed]);
    }

    #[test]
    fn a_row_that_lies_about_its_length_is_an_error() {
        let row = SocketRow::default();
        for length in [0, 1, 100, 145, u32::MAX] {
            let mut bytes = RowHeader { kind: kind::SOCKET, length }.as_bytes().to_vec();
            bytes.extend_from_slice(row.as_bytes());
            assert!(Rows::default().decode(Bytes::from(bytes)).is_err(), "{length}");
        }
    }
}

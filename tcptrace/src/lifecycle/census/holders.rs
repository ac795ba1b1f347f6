//! Which processes hold which sockets.

use std::collections::HashMap;

use tcptrace_common::memory::Task;

use super::Counted;
use crate::lifecycle::socket::State;
use crate::lifecycle::text::from_padded;

/// A process with descriptors for sockets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Start on the boot clock, ns: with `pid` the identity of the process.
    pub start_time_ns: u64,
    /// Name, not escaped yet.
    pub comm: String,
    /// Whether the user wants to see its sockets.
    pub is_wanted: bool,
}

/// Which processes hold which sockets. Processes go by their place in [`Self::processes`].
#[derive(Debug, Default)]
pub struct Holders {
    processes: Vec<Process>,
    places: HashMap<(u32, u64), u32>,
    /// The first holder that was seen, by cookie; nearly every socket has no other.
    first: HashMap<u64, u32>,
    others: HashMap<u64, Vec<u32>>,
    /// Holders of MPTCP's listeners by inode number: their TCP socket has another cookie.
    of_listeners: HashMap<u64, Vec<u32>>,
}

impl Holders {
    /// Takes up a descriptor. `is_wanted` is asked once for each process.
    pub fn note(
        &mut self,
        task: &Task,
        socket: &Counted,
        is_wanted: &mut dyn FnMut(&Process) -> bool,
    ) {
        let place = self.place(task, is_wanted);
        if socket.is_mptcp_itself() {
            if socket.state == State::Listen {
                add(self.of_listeners.entry(socket.inode()).or_default(), place);
            }
            return;
        }
        let first = *self.first.entry(socket.cookie()).or_insert(place);
        if first != place {
            add(self.others.entry(socket.cookie()).or_default(), place);
        }
    }

    fn place(&mut self, task: &Task, is_wanted: &mut dyn FnMut(&Process) -> bool) -> u32 {
        *self.places.entry((task.pid, task.start_ns)).or_insert_with(|| {
            let mut process = Process {
                pid: task.pid,
                start_time_ns: task.start_ns,
                comm: from_padded(&task.comm),
                is_wanted: false,
            };
            process.is_wanted = is_wanted(&process);
            self.processes.push(process);
            // There are at most four million process ids.
            self.processes.len() as u32 - 1
        })
    }

    /// All processes that hold sockets.
    #[must_use]
    pub fn processes(&self) -> &[Process] {
        &self.processes
    }

    /// Whether any process holds this socket.
    #[must_use]
    pub fn is_held(&self, socket: &Counted) -> bool {
        self.first.contains_key(&socket.cookie()) || self.of_listeners.contains_key(&socket.inode())
    }

    /// The processes that hold this socket and are wanted, each once.
    pub fn of<'a>(&'a self, socket: &Counted) -> impl Iterator<Item = u32> + 'a {
        let (cookie, inode) = (socket.cookie(), socket.inode());
        let first = self.first.get(&cookie).copied();
        let others = self.others.get(&cookie).into_iter().flatten();
        let of_listener = self.of_listeners.get(&inode).filter(|_| first.is_none());
        let all = first.into_iter().chain(others.chain(of_listener.into_iter().flatten()).copied());
        all.filter(|place| self.processes[*place as usize].is_wanted)
    }
}

fn add(places: &mut Vec<u32>, place: u32) {
    if !places.contains(&place) {
        places.push(place);
    }
}

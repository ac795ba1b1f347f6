//! Python programs that have just begun to run: their interpreter comes up some time later, and
//! has to be known before their first socket, or the Python functions of that one are missing.

use std::time::{Duration, Instant};

use tcptrace_common::memory::Task;

/// When they are looked at, after they were announced. An interpreter takes 10 ms and more.
const LOOKS_MS: [u64; 10] = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560];
/// Most that are waited for.
const MOST: usize = 1024;

/// A process that is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer {
    /// Its key in `PROCESSES`.
    pub tgid: u32,
    /// Who it is.
    pub task: Task,
    came: Instant,
    looks: usize,
}

impl Newcomer {
    fn due(&self) -> Option<Instant> {
        LOOKS_MS.get(self.looks).map(|ms| self.came + Duration::from_millis(*ms))
    }
}

/// Those that are waited for.
#[derive(Debug, Default)]
pub struct Newcomers(Vec<Newcomer>);

impl Newcomers {
    /// Begins to wait for one, again if it was waited for before.
    pub fn add(&mut self, tgid: u32, task: Task) {
        self.0.retain(|known| known.tgid != tgid);
        if self.0.len() < MOST {
            self.0.push(Newcomer { tgid, task, came: Instant::now(), looks: 0 });
        }
    }

    /// When the next is to be looked at.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.0.iter().filter_map(Newcomer::due).min()
    }

    /// Those that are to be looked at now.
    pub fn take_due(&mut self) -> Vec<Newcomer> {
        let now = Instant::now();
        self.0.extract_if(.., |own| own.due().is_none_or(|due| due <= now)).collect()
    }

    /// Waits on for one that is not ready, unless it was looked at often enough.
    pub fn put_back(&mut self, mut newcomer: Newcomer) {
        newcomer.looks += 1;
        if newcomer.due().is_some() {
            self.0.push(newcomer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_looked_at_until_it_was_often_enough() {
        let mut newcomers = Newcomers::default();
        assert_eq!(newcomers.next_due(), None);
        newcomers.add(7, Task::default());
        newcomers.add(7, Task::default());
        assert!(newcomers.next_due() > Some(Instant::now()));
        assert!(newcomers.take_due().is_empty(), "not yet");
        let mut newcomer = newcomers.0[0];
        newcomers.0.clear();
        for _ in 1..LOOKS_MS.len() {
            newcomers.put_back(newcomer);
            newcomer = newcomers.0.pop().unwrap();
        }
        newcomers.put_back(newcomer);
        assert_eq!(newcomers.next_due(), None);
    }
}

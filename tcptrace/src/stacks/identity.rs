//! Whether a process is still the one that a record names.

use std::fs::File;
use std::io::Read as _;

use tcptrace_common::memory::Task;

use crate::lifecycle::stat::{STAT_BYTES, Stat, TickLength};

/// A process at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now(Stat);

impl Now {
    /// Reads it; `None`: there is no such process.
    #[must_use]
    pub fn read(pid: u32) -> Option<Self> {
        let mut stat = Vec::new();
        let file = File::open(format!("/proc/{pid}/stat")).ok()?;
        file.take(STAT_BYTES).read_to_end(&mut stat).ok()?;
        Stat::parse(&stat).map(Self)
    }

    /// Which program it runs; `None`: it has no memory any more, or it may not be known.
    #[must_use]
    pub const fn program(&self) -> Option<u64> {
        self.0.program
    }

    /// Whether it started at `start_ns` on the boot clock, as exactly as `/proc` tells.
    #[must_use]
    pub fn started_at(&self, start_ns: u64) -> bool {
        self.0.start_ticks == tick_length().of(start_ns)
    }

    /// Whether it still runs the program that the task ran; exec() keeps the start. Where the
    /// kernel side cannot tell the program (0), the name has to do.
    #[must_use]
    pub fn runs(&self, program: u64, task: &Task) -> bool {
        if program == 0 { self.has_name_of(task) } else { self.0.program == Some(program) }
    }

    fn has_name_of(&self, task: &Task) -> bool {
        let end = task.comm.iter().position(|byte| *byte == 0).unwrap_or(task.comm.len());
        task.comm.get(..end) == Some(self.0.comm.as_slice())
    }
}

/// Whether the process that started at `start_ns` still runs under this id.
#[must_use]
pub fn is_alive(pid: u32, start_ns: u64) -> bool {
    Now::read(pid).is_some_and(|now| now.started_at(start_ns))
}

fn tick_length() -> TickLength {
    // SAFETY: sysconf reads a constant and takes no pointer.
    TickLength::of_rate(unsafe { libc::sysconf(libc::_SC_CLK_TCK) })
}

#[cfg(test)]
mod tests {
    use tcptrace_common::stack::program_id;

    use super::*;

    const FIELDS: &[u8] =
        b" S 1 42 42 0 -1 4194560 9 0 0 0 1 2 0 0 20 0 1 0 777 8192 1 0 10 11 12 0 0";

    #[test]
    fn a_name_cannot_shift_the_fields() {
        for name in [&b"sleep"[..], b") R 1 (", b"a\nb) T 1 2", b"))))", b"", b"\xff\xfe)"] {
            let stat = [b"42 (", name, b")", FIELDS].concat();
            let program = Some(program_id(12, 11));
            let now =
                Stat { comm: name.to_vec(), stopped: false, parent: 1, start_ticks: 777, program };
            assert_eq!(Stat::parse(&stat), Some(now.clone()));
            let (now, TickLength(tick_ns)) = (Now(now), tick_length());
            assert!(now.started_at(777 * tick_ns + 5));
            assert!(!now.started_at(776 * tick_ns));
        }
    }

    #[test]
    fn names_are_compared_up_to_the_padding() {
        let now = Now(Stat {
            comm: b"nginx".to_vec(),
            stopped: false,
            parent: 1,
            start_ticks: 1,
            program: Some(7),
        });
        let task = |comm: &[u8; 16]| Task { comm: *comm, ..Task::default() };
        assert!(now.has_name_of(&task(b"nginx\0\0\0\0\0\0\0\0\0\0\0")));
        let shell = task(b"sh\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert!(!now.has_name_of(&shell) && !now.runs(0, &shell));
        assert!(now.runs(7, &shell) && !now.runs(8, &task(b"nginx\0\0\0\0\0\0\0\0\0\0\0")));
    }

    #[test]
    fn there_is_no_such_process() {
        assert_eq!(Now::read(4_194_303), None);
        assert!(Now::read(std::process::id()).is_some());
        assert!(!is_alive(std::process::id(), 0));
    }
}

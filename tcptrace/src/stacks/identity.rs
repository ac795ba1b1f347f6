//! Whether a process is still the one that a record names.

use std::fs::File;
use std::io::Read as _;

use tcptrace_common::memory::Task;
use tcptrace_common::stack::program_id;

/// More than `/proc/PID/stat` ever has: 52 numbers and a name.
const STAT_BYTES: u64 = 4096;
/// Field 22, `starttime`, counted from the first one behind the name (field 3).
const START_FIELD: usize = 22 - 3;
/// Fields 27 and 28, `endcode` and `startstack`.
const END_CODE_FIELD: usize = 27 - 3;
const START_STACK_FIELD: usize = 28 - 3;
const NS_PER_SECOND: u64 = 1_000_000_000;

/// What `/proc/PID/stat` says of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now {
    /// Name of the thread-group leader.
    comm: Vec<u8>,
    /// When it started: clock ticks on the boot clock.
    start_ticks: u64,
    /// Which program it runs; `None`: it has no memory any more, or it may not be known.
    program: Option<u64>,
}

impl Now {
    /// Reads it; `None`: there is no such process.
    #[must_use]
    pub fn read(pid: u32) -> Option<Self> {
        let mut stat = Vec::new();
        let file = File::open(format!("/proc/{pid}/stat")).ok()?;
        file.take(STAT_BYTES).read_to_end(&mut stat).ok()?;
        Self::parse(&stat)
    }

    /// The name stands in parentheses and may hold anything: the fields begin behind the last `)`.
    fn parse(stat: &[u8]) -> Option<Self> {
        let name_start = stat.iter().position(|byte| *byte == b'(')? + 1;
        let name_end = stat.iter().rposition(|byte| *byte == b')')?;
        let comm = stat.get(name_start..name_end)?.to_vec();
        let fields = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
        let number = |field| fields.split_ascii_whitespace().nth(field)?.parse::<u64>().ok();
        let place = |field| number(field).filter(|address| *address > 0);
        let program = || Some(program_id(place(START_STACK_FIELD)?, place(END_CODE_FIELD)?));
        Some(Self { comm, start_ticks: number(START_FIELD)?, program: program() })
    }

    /// Which program it runs; `None`: it has no memory any more, or it may not be known.
    #[must_use]
    pub const fn program(&self) -> Option<u64> {
        self.program
    }

    /// Whether it started at `start_ns` on the boot clock, as exactly as `/proc` tells.
    #[must_use]
    pub fn started_at(&self, start_ns: u64) -> bool {
        self.start_ticks == start_ns / tick_ns()
    }

    /// Whether it still runs the program that the task ran; exec() keeps the start. Where the
    /// kernel side cannot tell the program (0), the name has to do.
    #[must_use]
    pub fn runs(&self, program: u64, task: &Task) -> bool {
        if program == 0 { self.has_name_of(task) } else { self.program == Some(program) }
    }

    fn has_name_of(&self, task: &Task) -> bool {
        let end = task.comm.iter().position(|byte| *byte == 0).unwrap_or(task.comm.len());
        task.comm.get(..end) == Some(self.comm.as_slice())
    }
}

/// Whether the process that started at `start_ns` still runs under this id.
#[must_use]
pub fn is_alive(pid: u32, start_ns: u64) -> bool {
    Now::read(pid).is_some_and(|now| now.started_at(start_ns))
}

/// Length of a clock tick of `/proc` (`USER_HZ`), ns.
fn tick_ns() -> u64 {
    // SAFETY: sysconf reads a constant and takes no pointer.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    NS_PER_SECOND / u64::try_from(per_second).ok().filter(|ticks| *ticks > 0).unwrap_or(100)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &[u8] =
        b" S 1 42 42 0 -1 4194560 9 0 0 0 1 2 0 0 20 0 1 0 777 8192 1 0 10 11 12 0 0";

    #[test]
    fn a_name_cannot_shift_the_fields() {
        for name in [&b"sleep"[..], b") R 1 (", b"a\nb) T 1 2", b"))))", b"", b"\xff\xfe)"] {
            let stat = [b"42 (", name, b")", FIELDS].concat();
            let program = Some(program_id(12, 11));
            let now = Now { comm: name.to_vec(), start_ticks: 777, program };
            assert_eq!(Now::parse(&stat), Some(now.clone()));
            assert!(now.started_at(777 * tick_ns() + 5));
            assert!(!now.started_at(776 * tick_ns()));
        }
    }

    #[test]
    fn names_are_compared_up_to_the_padding() {
        let now = Now { comm: b"nginx".to_vec(), start_ticks: 1, program: Some(7) };
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

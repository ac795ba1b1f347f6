//! What `/proc/PID/stat` says.

use tcptrace_common::stack::program_id;

/// Field 4, `ppid`, counted from the first one behind the name (field 3).
const PARENT_FIELD: usize = 4 - 3;
/// Field 22, `starttime`, counted from the first one behind the name (field 3).
const START_FIELD: usize = 22 - 3;
/// Fields 27 and 28, `endcode` and `startstack`.
const END_CODE_FIELD: usize = 27 - 3;
const START_STACK_FIELD: usize = 28 - 3;
const NS_PER_SECOND: u64 = 1_000_000_000;

/// More bytes than the file ever has: 52 numbers and a name.
pub const STAT_BYTES: u64 = 4096;

/// Length of a clock tick of `/proc`, ns.
#[derive(Clone, Copy, Debug)]
pub struct TickLength(pub u64);

impl TickLength {
    /// By how many there are in a second (`USER_HZ`, which `sysconf` tells); 100 where that is no
    /// number.
    #[must_use]
    pub fn of_rate(per_second: i64) -> Self {
        let per_second = u64::try_from(per_second).ok().filter(|ticks| *ticks > 0);
        Self(NS_PER_SECOND / per_second.unwrap_or(100))
    }

    /// Ticks until `start_ns`, rounded down as the kernel does (`nsec_to_clock_t`).
    #[must_use]
    pub fn of(self, start_ns: u64) -> u64 {
        start_ns / self.0
    }
}

/// What is taken from the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Name of the thread-group leader.
    pub comm: Vec<u8>,
    /// Whether a signal or a debugger has stopped the process.
    pub stopped: bool,
    /// Its parent; 0: outside of this pid namespace, or none.
    pub parent: u32,
    /// When it started: clock ticks on the boot clock.
    pub start_ticks: u64,
    /// Which program it runs, see [`program_id`]; `None`: it has no memory any more, or it may not
    /// be known.
    pub program: Option<u64>,
}

impl Stat {
    /// Understands the file. The name stands in parentheses and may hold anything, parentheses and
    /// newlines too: the fields begin behind the last `)`.
    #[must_use]
    pub fn parse(stat: &[u8]) -> Option<Self> {
        let name_start = stat.iter().position(|byte| *byte == b'(')? + 1;
        let name_end = stat.iter().rposition(|byte| *byte == b')')?;
        let comm = stat.get(name_start..name_end)?.to_vec();
        let fields = std::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field)?.parse::<u64>().ok();
        let place = |field| number(field).filter(|address| *address > 0);
        let program = || Some(program_id(place(START_STACK_FIELD)?, place(END_CODE_FIELD)?));
        Some(Self {
            comm,
            stopped: matches!(*fields.first()?, "T" | "t"),
            parent: fields.get(PARENT_FIELD)?.parse().unwrap_or(0),
            start_ticks: number(START_FIELD)?,
            program: program(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIELDS: &str = " 1 42 42 0 -1 4194560 9 0 0 0 1 2 0 0 20 0 1 0 777 8192 1 0";

    fn stat_of(name: &[u8], state: &str) -> Stat {
        let mut stat = b"42 (".to_vec();
        stat.extend_from_slice(name);
        stat.extend_from_slice(format!(") {state}{FIELDS}").as_bytes());
        Stat::parse(&stat).unwrap()
    }

    #[test]
    fn a_name_cannot_shift_the_fields() {
        for name in [&b"sleep"[..], b") R 1 (", b"a\nb) T 1 2", b"))))", b"", b"\xff\xfe)"] {
            let expected = Stat {
                comm: name.to_vec(),
                stopped: false,
                parent: 1,
                start_ticks: 777,
                program: None,
            };
            assert_eq!(stat_of(name, "S"), expected);
        }
    }

    #[test]
    fn signals_and_debuggers_stop() {
        for (state, stopped) in [("T", true), ("t", true), ("R", false), ("Z", false)] {
            assert_eq!(stat_of(b"x", state).stopped, stopped, "{state}");
        }
    }

    #[test]
    fn what_is_cut_or_odd_is_nothing() {
        for stat in [&b""[..], b"42 (sleep", b"42 (sleep) S 1", b"42 (x) \xff\xff", b")("] {
            assert_eq!(Stat::parse(stat), None, "{stat:?}");
        }
    }

    #[test]
    fn ticks_are_rounded_down() {
        let ticks = TickLength(10_000_000);
        assert_eq!(ticks.of(0), 0);
        assert_eq!(ticks.of(9_999_999), 0);
        assert_eq!(ticks.of(7_770_000_001), 777);
    }
}

//! Ends of mini-sockets that the kernel side has noted and not told, made into transitions.

use tcptrace_common::memory::SocketMemory;
use tcptrace_common::mini::{MiniEnd, Move, enter};
use tcptrace_common::record::{TransitionRecord, kind};

/// For how long an end may still turn out to be none, ns: the kernel starts the timer again with
/// interrupts off, at once.
const SETTLES_NS: u64 = 20_000_000;

/// The transitions of an end, one or two; none while it may still turn out to be none.
#[must_use]
pub fn transitions(end: &MiniEnd, now_ns: u64) -> Vec<TransitionRecord> {
    if now_ns.saturating_sub(end.time_ns) < SETTLES_NS {
        return Vec::new();
    }
    let mut end = *end;
    let mut records = Vec::new();
    if let Some(told) = end.unseen_time_wait() {
        records.push(record(&told, end.netns, &end.memory));
        enter(&mut end.memory, &told);
    }
    records.push(record(&end.close(), end.netns, &end.memory));
    records
}

/// As the kernel side would send it.
fn record(told: &Move, netns: u32, memory: &SocketMemory) -> TransitionRecord {
    TransitionRecord {
        kind: kind::TRANSITION,
        from: told.from,
        to: told.to,
        role: memory.role,
        netns,
        time_ns: told.time_ns,
        dwell_ns: told.dwell_ns,
        cookie: memory.cookie,
        tuple: memory.tuple,
        opener: memory.opener,
        error: 0,
        bound: told.bound,
        flags: told.flags,
        pad: [0; 2],
    }
}

/// Those that were told here, so that they are not told again when the kernel side does.
#[derive(Debug, Default)]
pub struct Told(Vec<TransitionRecord>);

impl Told {
    /// The transitions of these ends that were not told yet.
    pub fn tell(&mut self, ends: &[MiniEnd], now_ns: u64) -> Vec<TransitionRecord> {
        let all = ends.iter().flat_map(|end| transitions(end, now_ns));
        let fresh: Vec<_> = all.filter(|record| !self.has(record)).collect();
        self.0.extend(&fresh);
        fresh
    }

    /// Whether none was told that may come again.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a record that has come repeats one. It comes once.
    pub fn is_repeat(&mut self, record: &TransitionRecord) -> bool {
        let before = self.0.len();
        self.0.retain(|told| !is_same(told, record));
        self.0.len() != before
    }

    fn has(&self, record: &TransitionRecord) -> bool {
        self.0.iter().any(|told| is_same(told, record))
    }
}

fn is_same(one: &TransitionRecord, other: &TransitionRecord) -> bool {
    (one.cookie, one.time_ns, one.from, one.to)
        == (other.cookie, other.time_ns, other.from, other.to)
}

#[cfg(test)]
mod tests {
    use tcptrace_common::tcp::state;

    use super::*;

    fn end() -> MiniEnd {
        let memory = SocketMemory {
            cookie: 7,
            state: state::FIN_WAIT2,
            since_ns: 1_000,
            ..SocketMemory::default()
        };
        MiniEnd {
            sk: 1,
            time_ns: 9_000,
            time_wait_ns: 3_000,
            substate: state::TIME_WAIT,
            memory,
            ..MiniEnd::default()
        }
    }

    #[test]
    fn an_end_that_is_too_fresh_may_be_none() {
        assert!(transitions(&end(), 10_000).is_empty());
        let records = transitions(&end(), 1_000_000_000);
        let moves: Vec<_> = records.iter().map(|own| (own.from, own.to, own.dwell_ns)).collect();
        assert_eq!(moves, [(5, 6, 2_000), (6, 7, 6_000)]);
    }

    #[test]
    fn nothing_is_told_twice() {
        let mut told = Told::default();
        let fresh = told.tell(&[end()], 1_000_000_000);
        assert_eq!(fresh.len(), 2);
        assert!(told.tell(&[end()], 1_000_000_000).is_empty());
        assert!(told.is_repeat(&fresh[0]) && told.is_repeat(&fresh[1]));
        assert!(!told.is_repeat(&fresh[0]), "it comes once");
    }
}

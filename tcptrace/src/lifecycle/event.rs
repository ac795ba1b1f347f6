//! Records of the ring buffer, decoded.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Buf;
use tcptrace_common::Wire as _;
use tcptrace_common::record::{DWELL_UNKNOWN, TransitionRecord, bound, kind};

use super::socket::State;

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A socket went from one state to another.
    Transition(Transition),
}

/// One transition of one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// State before.
    pub from: State,
    /// State after.
    pub to: State,
    /// Time spent in `from`, ns; `None`: its beginning was not seen.
    pub dwell_ns: Option<u64>,
    /// The record itself.
    pub record: TransitionRecord,
}

/// How long a socket was in a state, ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dwell {
    /// Exactly so long.
    Exact(u64),
    /// So long or longer.
    AtLeast(u64),
    /// So long or shorter.
    AtMost(u64),
    /// Its beginning was not seen.
    Unknown,
}

impl Dwell {
    /// The exact time, ns.
    #[must_use]
    pub fn exact(self) -> Option<u64> {
        match self {
            Self::Exact(ns) => Some(ns),
            _ => None,
        }
    }

    /// Lower bound, ns, of a time that is not exact.
    #[must_use]
    pub fn at_least(self) -> Option<u64> {
        match self {
            Self::AtLeast(ns) => Some(ns),
            _ => None,
        }
    }

    /// Upper bound, ns, of a time that is not exact.
    #[must_use]
    pub fn at_most(self) -> Option<u64> {
        match self {
            Self::AtMost(ns) => Some(ns),
            _ => None,
        }
    }
}

impl Transition {
    /// Whether a socket begins with it: there was no state before in which time was spent.
    #[must_use]
    pub fn is_birth(&self) -> bool {
        matches!(self.to, State::SynSent | State::Listen)
            || (self.from, self.to) == (State::Listen, State::SynRecv)
    }

    /// Time spent in `from`, with what is known of it.
    #[must_use]
    pub fn dwell(&self) -> Dwell {
        match (self.dwell_ns, self.record.bound) {
            (None, _) => Dwell::Unknown,
            (Some(ns), bound::EXACT) => Dwell::Exact(ns),
            (Some(ns), bound::AT_LEAST) => Dwell::AtLeast(ns),
            (Some(ns), bound::AT_MOST) => Dwell::AtMost(ns),
            // `decode` lets no other through.
            (Some(_), _) => Dwell::Unknown,
        }
    }
}

/// Decodes one record, which stands in one piece. Takes no memory.
///
/// # Errors
///
/// When the bytes are no record of a known kind.
pub fn decode(record: &mut impl Buf) -> Result<Event> {
    ensure!(record.has_remaining(), "an empty record");
    ensure!(record.chunk().len() == record.remaining(), "a record in pieces");
    let event = match record.chunk().first().copied().unwrap_or_default() {
        kind::TRANSITION => {
            let record = TransitionRecord::from_bytes(record.chunk());
            Event::Transition(record.context("a record is cut short")?.try_into()?)
        }
        other => bail!("a record of unknown kind {other}"),
    };
    record.advance(record.remaining());
    Ok(event)
}

impl TryFrom<TransitionRecord> for Transition {
    type Error = anyhow::Error;

    fn try_from(record: TransitionRecord) -> Result<Self> {
        ensure!(record.kind == kind::TRANSITION, "a record of unknown kind {}", record.kind);
        ensure!(record.bound <= bound::AT_MOST, "a bound of unknown kind {}", record.bound);
        let state = |number| State::from_kernel(number).with_context(|| format!("state {number}"));
        Ok(Self {
            from: state(record.from)?,
            to: state(record.to)?,
            dwell_ns: (record.dwell_ns != DWELL_UNKNOWN).then_some(record.dwell_ns),
            record,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_decode_or_fail_cleanly() {
        let record = TransitionRecord { kind: 1, from: 8, to: 9, ..TransitionRecord::default() };
        let Event::Transition(event) = decode(&mut record.as_bytes()).unwrap();
        assert_eq!(
            (event.from, event.to, event.dwell_ns),
            (State::CloseWait, State::LastAck, Some(0))
        );
        for length in 0..record.as_bytes().len() {
            assert!(decode(&mut &record.as_bytes()[..length]).is_err());
        }
        let bound_at = record.as_bytes().len() - 4;
        for at in [0, 1, 2, bound_at] {
            let mut damaged = record.as_bytes().to_vec();
            damaged[at] = 200;
            assert!(decode(&mut &damaged[..]).is_err());
        }
    }

    #[test]
    fn an_unknown_dwell_is_none_and_never_a_number() {
        let record = TransitionRecord {
            kind: 1,
            from: 1,
            to: 8,
            dwell_ns: DWELL_UNKNOWN,
            ..TransitionRecord::default()
        };
        let Event::Transition(event) = decode(&mut record.as_bytes()).unwrap();
        assert_eq!(event.dwell_ns, None);
    }

    #[test]
    fn noise_decodes_or_fails_and_never_panics() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut noise = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed.to_le_bytes()[0]
        };
        let mut decoded = 0;
        for round in 0..20_000_usize {
            let mut bytes: Vec<u8> = (0..round % 160).map(|_| noise()).collect();
            // Pure noise hardly ever gets past the first bytes.
            for (at, limit) in [(0, 2), (1, 13), (2, 13)] {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte %= limit;
                }
            }
            if let Ok(Event::Transition(event)) = decode(&mut &bytes[..]) {
                assert!(bytes.len() >= TransitionRecord::SIZE);
                assert_eq!((event.from as u8, event.to as u8), (bytes[1] - 1, bytes[2] - 1));
                decoded += 1;
            }
        }
        assert!(decoded > 10, "{decoded}");
    }

    #[test]
    fn a_dwell_says_what_it_is_worth() {
        let dwell = |dwell_ns, bound| {
            let record =
                TransitionRecord { kind: 1, from: 1, to: 8, dwell_ns, bound, ..Default::default() };
            let Event::Transition(event) = decode(&mut record.as_bytes()).unwrap();
            event.dwell()
        };
        assert_eq!(dwell(7, bound::EXACT), Dwell::Exact(7));
        assert_eq!(dwell(7, bound::AT_LEAST), Dwell::AtLeast(7));
        assert_eq!(dwell(7, bound::AT_MOST), Dwell::AtMost(7));
        assert_eq!(dwell(DWELL_UNKNOWN, bound::EXACT), Dwell::Unknown);
        assert_eq!(dwell(DWELL_UNKNOWN, bound::AT_LEAST), Dwell::Unknown);
        assert_eq!(Dwell::AtMost(7).exact(), None);
        assert_eq!((Dwell::AtMost(7).at_most(), Dwell::AtLeast(7).at_least()), (Some(7), Some(7)));
    }
}

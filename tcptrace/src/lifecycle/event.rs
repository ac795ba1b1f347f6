//! Records of the ring buffer, decoded.

use anyhow::{Context as _, Result, bail, ensure};
use bytes::Buf;
use tcptrace_common::Wire as _;
use tcptrace_common::record::{DWELL_UNKNOWN, TransitionRecord, kind};

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

/// Decodes one record.
///
/// # Errors
///
/// When the bytes are no record of a known kind.
pub fn decode(record: &mut impl Buf) -> Result<Event> {
    ensure!(record.has_remaining(), "an empty record");
    let first = record.chunk().first().copied().unwrap_or_default();
    match first {
        kind::TRANSITION => transition(record).map(Event::Transition),
        other => bail!("a record of unknown kind {other}"),
    }
}

fn transition(bytes: &mut impl Buf) -> Result<Transition> {
    let bytes = bytes.copy_to_bytes(bytes.remaining());
    let record = TransitionRecord::from_bytes(&bytes).context("a record is cut short")?;
    let state = |number| State::from_kernel(number).with_context(|| format!("state {number}"));
    Ok(Transition {
        from: state(record.from)?,
        to: state(record.to)?,
        dwell_ns: (record.dwell_ns != DWELL_UNKNOWN).then_some(record.dwell_ns),
        record,
    })
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
        for at in 0..3 {
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
}

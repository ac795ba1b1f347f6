//! Leaks that ended: sockets that left CLOSE_WAIT late.

use super::event::Transition;
use super::socket::State;

/// Counts the sockets that were closed after they had leaked.
#[derive(Clone, Copy, Debug)]
pub struct LateCloses {
    /// A socket leaks once it has been in CLOSE_WAIT for this long, ns.
    pub min_age_ns: u64,
    /// How many there were.
    pub count: u64,
}

impl LateCloses {
    /// None so far.
    #[must_use]
    pub fn new(min_age_ns: u64) -> Self {
        Self { min_age_ns, count: 0 }
    }

    /// Takes up a transition. One whose time in CLOSE_WAIT is not known does not count.
    pub fn note(&mut self, transition: &Transition) {
        let is_late = transition.dwell_ns.is_some_and(|dwell| dwell >= self.min_age_ns);
        if transition.from == State::CloseWait && is_late {
            self.count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use tcptrace_common::record::TransitionRecord;

    use super::*;

    #[test]
    fn only_what_certainly_left_close_wait_late_counts() {
        let mut late = LateCloses::new(30);
        let mut note = |from, dwell_ns| {
            let record = TransitionRecord::default();
            late.note(&Transition { from, to: State::LastAck, dwell_ns, record });
            late.count
        };
        assert_eq!(note(State::CloseWait, Some(29)), 0);
        assert_eq!(note(State::CloseWait, None), 0);
        assert_eq!(note(State::Established, Some(31)), 0);
        assert_eq!(note(State::CloseWait, Some(30)), 1);
    }
}

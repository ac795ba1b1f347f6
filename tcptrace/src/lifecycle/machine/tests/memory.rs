//! What the kernel side's rule makes of dwells, whatever is lost: a dwell is exact only where the
//! state that is left is the state that was remembered last, and was entered at a known time; a
//! birth (connect(), listen(), a listener's child) begins a new memory and has no dwell.
//!
//! A socket of one connection is in no state twice, so for it the rule cannot err. One that is
//! used again after CLOSE is, and two transitions that are missed in a row could then look like
//! none; a single one cannot.

use super::*;
use crate::lifecycle::event::Dwell;

/// A small generator of numbers (xorshift64): the same walks in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

/// A transition as it really happened.
#[derive(Clone, Copy, Debug)]
struct Step {
    from: State,
    to: State,
    at_ns: u64,
    true_dwell_ns: u64,
}

/// A life: from CLOSE or from the listener's LISTEN over any transitions that there are. With
/// `again` the socket is used for more than one connection.
fn life(dice: &mut Dice, again: bool) -> Vec<Step> {
    let mut state = [State::Close, State::Listen][dice.roll(2)];
    let mut now_ns = 0;
    let mut steps = Vec::new();
    for _ in 0..2 + dice.roll(18) {
        let is_child = state == State::Listen && steps.is_empty();
        let next: Vec<State> = states()
            .filter(|to| !Class::of(state, *to).is_odd())
            .filter(|to| !is_child || *to == State::SynRecv)
            // A listener's children are sockets of their own.
            .filter(|to| is_child || state != State::Listen || *to != State::SynRecv)
            .collect();
        let to = next[dice.roll(next.len())];
        let true_dwell_ns = dice.roll(1_000_000) as u64;
        now_ns += true_dwell_ns;
        steps.push(Step { from: state, to, at_ns: now_ns, true_dwell_ns });
        state = to;
        if state == State::Close && !again {
            break;
        }
    }
    steps
}

/// The kernel side's memory of one socket.
#[derive(Default)]
struct Memory(Option<(State, u64)>);

impl Memory {
    fn sees(&mut self, step: Step) -> Dwell {
        let is_birth = matches!(step.to, State::SynSent | State::Listen)
            || (step.from, step.to) == (State::Listen, State::SynRecv);
        let dwell = match self.0 {
            Some((state, since_ns)) if state == step.from && !is_birth => {
                Dwell::Exact(step.at_ns - since_ns)
            }
            _ => Dwell::Unknown,
        };
        self.0 = Some((step.to, step.at_ns));
        dwell
    }
}

#[test]
fn exact_dwells_add_up_to_the_lifetime() {
    let mut dice = Dice(7);
    for round in 0..2000 {
        let mut memory = Memory::default();
        let steps = life(&mut dice, round % 2 == 0);
        let (mut since_birth, mut sum) = (None, 0);
        for step in steps {
            match (memory.sees(step), since_birth) {
                (Dwell::Exact(ns), Some(born_ns)) => {
                    sum += ns;
                    assert_eq!(sum, step.at_ns - born_ns, "{step:?}");
                }
                (Dwell::Unknown, _) => (since_birth, sum) = (Some(step.at_ns), 0),
                other => panic!("{other:?} at {step:?}"),
            }
        }
    }
}

/// Runs lives of which the kernel side misses some transitions, and holds each exact dwell against
/// the true one. Returns how many were exact and unknown.
fn hold_against_truth(again: bool, may_miss_in_a_row: usize) -> (usize, usize) {
    let mut dice = Dice(11);
    let (mut exact, mut unknown) = (0, 0);
    for _ in 0..5000 {
        let (mut memory, mut missed) = (Memory::default(), 0);
        for step in life(&mut dice, again) {
            // The hook was not run, or the map had no room.
            if missed < may_miss_in_a_row && dice.roll(3) == 0 {
                missed += 1;
                continue;
            }
            missed = 0;
            match memory.sees(step) {
                Dwell::Exact(ns) => {
                    assert_eq!(ns, step.true_dwell_ns, "{step:?}");
                    exact += 1;
                }
                _ => unknown += 1,
            }
        }
    }
    (exact, unknown)
}

#[test]
fn a_missed_transition_never_yields_a_wrong_exact_dwell() {
    for (again, may_miss_in_a_row) in [(false, usize::MAX), (true, 1)] {
        let (exact, unknown) = hold_against_truth(again, may_miss_in_a_row);
        assert!(exact > 2000 && unknown > 2000, "{exact} {unknown}");
    }
}

#[test]
fn a_lost_record_changes_no_dwell_of_those_that_arrive() {
    let mut dice = Dice(13);
    for _ in 0..2000 {
        let steps = life(&mut dice, true);
        let (mut memory, mut arrived) = (Memory::default(), 0);
        for step in steps {
            let dwell = memory.sees(step);
            // The ring was full: the memory knows, user space does not.
            if dice.roll(2) == 0 {
                arrived += 1;
                assert!(
                    matches!(dwell, Dwell::Unknown) || dwell == Dwell::Exact(step.true_dwell_ns)
                );
            }
        }
        assert!(arrived <= 20);
    }
}

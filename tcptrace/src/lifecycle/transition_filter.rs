//! Which transitions the user wants to see.
//!
//! Of the processes that have to do with a socket a transition knows its opener alone. What is not
//! known matches no filter on it: the local port before it is chosen, the opener of a socket from
//! before the trace.

use super::filter::{Filter, any_or_empty};
use super::socket::State;
use super::stream::Line;

impl Filter<State> {
    /// Whether the user wants to see this transition, as far as the socket itself tells.
    #[must_use]
    pub fn matches_socket(&self, line: &Line) -> bool {
        any_or_empty(&self.states, |state| *state == line.from || *state == line.to)
            && self.matches_place(&line.ends, line.netns)
    }

    /// The states that are asked for: bit `1 << number` for each.
    #[must_use]
    pub fn state_bits(&self) -> u64 {
        let wanted = |state: &State| any_or_empty(&self.states, |own| own == state);
        let numbers = State::ALL.iter().filter(|(_, state, _)| wanted(state));
        numbers.fold(0, |bits, (number, ..)| bits | 1 << number)
    }
}

#[cfg(test)]
mod tests;

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
}

#[cfg(test)]
mod tests;

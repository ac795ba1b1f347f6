//! What `-s` and the filters by process mean with each command.

use super::value;
use crate::lifecycle::cause::Kind;
use crate::lifecycle::socket::State;

/// A state as a command understands it.
pub trait FilterState: Clone + Send + Sync + 'static {
    /// Help for `-s`.
    const HELP: &'static str;
    /// Whose processes filters are about.
    const PROCESS: &'static str;

    /// Reads what was typed.
    ///
    /// # Errors
    ///
    /// What is wrong, and what to type.
    fn parse(text: &str) -> Result<Self, String>;
}

impl FilterState for Kind {
    const HELP: &'static str = "States: close-wait (or CLOSE_WAIT), dead";
    const PROCESS: &'static str = "opener or holder";

    fn parse(text: &str) -> Result<Self, String> {
        value::leak_state(text)
    }
}

impl FilterState for State {
    const HELP: &'static str =
        "States, left or (stream) entered: established, close-wait (or CLOSE_WAIT) …";
    const PROCESS: &'static str = "opener";

    fn parse(text: &str) -> Result<Self, String> {
        value::tcp_state(text)
    }
}

/// A state of a socket that is counted: half-open requests count as `SYN_RECV`, sockets whose
/// connection is over as `dead`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountedState(pub State);

impl FilterState for CountedState {
    const HELP: &'static str = "States: established, close-wait (or CLOSE_WAIT), dead …";
    const PROCESS: &'static str = "holder";

    fn parse(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("dead") {
            return Ok(Self(State::Close));
        }
        Ok(Self(match value::tcp_state(text)? {
            State::NewSynRecv => State::SynRecv,
            state => state,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_states_are_those_that_a_count_shows() {
        for (text, state) in [
            ("dead", State::Close),
            ("close", State::Close),
            ("syn-recv", State::SynRecv),
            ("NEW_SYN_RECV", State::SynRecv),
            ("fin-wait-2", State::FinWait2),
        ] {
            assert_eq!(CountedState::parse(text), Ok(CountedState(state)), "{text}");
        }
        assert!(CountedState::parse("half-open").is_err());
    }
}

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
    const HELP: &'static str = "States, left or entered: established, close-wait (or CLOSE_WAIT) …";
    const PROCESS: &'static str = "opener";

    fn parse(text: &str) -> Result<Self, String> {
        value::tcp_state(text)
    }
}

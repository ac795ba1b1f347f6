//! The answer of `states`, as a table and as JSON Lines.

mod bar;
mod columns;
mod json;
mod screen;
mod table;

use crate::lifecycle::socket::State;

pub use json::json;
pub use screen::Screen;
pub use table::table;

pub use super::page::Style;

/// What the table calls a state: a census meets `CLOSE` only as the state of dead sockets.
fn name(state: State) -> &'static str {
    match state {
        State::Close => "DEAD",
        other => other.name(),
    }
}

#[cfg(test)]
pub(super) mod tests;

//! The answer of `states`, as a table and as JSON Lines.

mod bar;
mod columns;
mod json;
mod screen;
mod table;

use jiff::tz::TimeZone;

use crate::lifecycle::socket::State;

pub use json::json;
pub use screen::Screen;
pub use table::table;

/// How the table looks.
#[derive(Clone, Debug)]
pub struct Style {
    /// Columns that a line may take; `usize::MAX` for no limit.
    pub width: usize,
    /// Whether to colour.
    pub color: bool,
    /// Time zone of clock times.
    pub zone: TimeZone,
}

impl Style {
    /// Columns of the default table.
    pub const DEFAULT_WIDTH: usize = 100;
}

/// What the table calls a state: a census meets `CLOSE` only as the state of dead sockets.
fn name(state: State) -> &'static str {
    match state {
        State::Close => "DEAD",
        other => other.name(),
    }
}

#[cfg(test)]
pub(super) mod tests;

//! The answer of `doctor`.

mod explain;
mod json;
mod table;

use jiff::tz::TimeZone;

pub use explain::{Subject, explain, explain_json};
pub use json::json;
pub use table::table;

/// How a table looks.
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

#[cfg(test)]
pub(super) mod tests;

//! How the tables look that have no options of their own.

use jiff::tz::TimeZone;

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

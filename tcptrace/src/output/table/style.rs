//! How a table looks.

use jiff::tz::TimeZone;

/// How a table looks.
#[derive(Clone, Debug)]
pub struct Style {
    /// Columns that a line may take; `usize::MAX` for no limit.
    pub width: usize,
    /// One row for each socket instead of groups.
    pub rows: bool,
    /// Whether to colour.
    pub color: bool,
    /// Time zone of clock times.
    pub zone: TimeZone,
}

impl Style {
    /// Columns of the default table.
    pub const DEFAULT_WIDTH: usize = 100;
}

impl Default for Style {
    fn default() -> Self {
        Self { width: Self::DEFAULT_WIDTH, rows: false, color: false, zone: TimeZone::UTC }
    }
}

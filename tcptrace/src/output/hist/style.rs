//! How a table of histograms looks.

use jiff::tz::TimeZone;

/// How a table of histograms looks.
#[derive(Clone, Debug)]
pub struct HistStyle {
    /// Columns that a line takes at most.
    pub width: usize,
    /// How many keys are shown.
    pub top: usize,
    /// Whether to colour.
    pub color: bool,
    /// Time zone of clock times.
    pub zone: TimeZone,
}

impl HistStyle {
    /// Columns of the default table.
    pub const DEFAULT_WIDTH: usize = 100;
    /// Columns of the wide one.
    pub const WIDE: usize = 200;
}

impl Default for HistStyle {
    fn default() -> Self {
        Self { width: Self::DEFAULT_WIDTH, top: 10, color: false, zone: TimeZone::UTC }
    }
}

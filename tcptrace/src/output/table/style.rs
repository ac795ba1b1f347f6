//! How a table looks.

use jiff::tz::TimeZone;

/// How a table looks.
#[derive(Clone, Debug)]
pub struct Style {
    /// Columns that a line may take; `usize::MAX` for no limit.
    pub width: usize,
    /// One row for each socket instead of groups.
    pub rows: bool,
    /// Frames of a stack that are shown; of machine code below Python none, unless `native`.
    pub frames: usize,
    /// Whether to show machine code below Python.
    pub native: bool,
    /// Whether stacks were asked for; without, nothing says that there are none.
    pub stacks: bool,
    /// Whether to colour.
    pub color: bool,
    /// Time zone of clock times.
    pub zone: TimeZone,
}

impl Style {
    /// Columns of the default table.
    pub const DEFAULT_WIDTH: usize = 100;
    /// Frames that the default table shows of a stack.
    pub const DEFAULT_FRAMES: usize = 6;
}

impl Default for Style {
    fn default() -> Self {
        Self {
            width: Self::DEFAULT_WIDTH,
            rows: false,
            frames: Self::DEFAULT_FRAMES,
            native: false,
            stacks: true,
            color: false,
            zone: TimeZone::UTC,
        }
    }
}

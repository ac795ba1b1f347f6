//! How histograms are printed: a table with pictures, JSON Lines, a log for HdrHistogram's plotters.

mod axis;
mod hdr_log;
mod json;
mod key;
mod lines;
mod picture;
mod style;
mod table;

#[cfg(test)]
pub(super) mod fixtures;
#[cfg(test)]
mod tests;

use std::io::{self, Write};

use crate::lifecycle::dwell::report::HistReport;

pub use hdr_log::HdrLog;
pub use json::Json;
pub use style::HistStyle;
pub use table::HistTable;

/// A format.
pub trait HistOutput {
    /// Prints one report.
    ///
    /// # Errors
    ///
    /// Whatever `out` fails with, a closed pipe among it.
    fn write(&mut self, report: &HistReport, out: &mut dyn Write) -> io::Result<()>;
}

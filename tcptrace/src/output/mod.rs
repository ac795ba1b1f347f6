//! How a report is printed: one trait, one file for each format.
//!
//! Rendering reads nothing: no `/proc`, no clock, no environment, no terminal. A format gets
//! finished data and something to write to.

mod cell;
pub mod census;
pub mod check;
pub mod doctor;
mod escape;
mod folded;
mod frame;
pub mod hist;
mod json;
mod own;
mod page;
mod paint;
pub mod stream;
mod svg;
mod table;
mod units;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod golden;

use std::io::{self, Write};

use crate::lifecycle::report::Report;

pub use folded::{Folded, Folding};
pub use json::Json;
pub use svg::Svg;
pub use table::{Style, Table};

/// A format.
pub trait Output {
    /// Prints one report and flushes.
    ///
    /// # Errors
    ///
    /// Whatever `out` fails with, a closed pipe among it.
    fn write(&mut self, report: &Report, out: &mut dyn Write) -> io::Result<()>;
}

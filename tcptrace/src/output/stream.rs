//! The lines of `stream`, written fast: a million a second have to fit on one core with time to
//! spare. So nothing here takes memory for a line; what is dear is kept from line to line.

mod clock;
mod json;
mod names;
mod table;
mod text;

use crate::lifecycle::stream::{Line, Summary};

pub use json::Json;
pub use table::{Style, Table};

/// A format.
pub trait Lines {
    /// What comes first.
    fn head(&mut self, out: &mut Vec<u8>);

    /// One transition.
    fn line(&mut self, line: &Line, out: &mut Vec<u8>);

    /// What comes last.
    fn end(&mut self, summary: &Summary, out: &mut Vec<u8>);
}

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

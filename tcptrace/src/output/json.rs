//! JSON Lines: `leak` objects, `group` objects, last a `summary`. `docs/json.md` documents each
//! field, and a test here fails when it does not.

mod objects;
mod stack;

use std::io::{self, Write};

use super::Output;
use super::escape::write_line;
use crate::lifecycle::report::Report;

/// JSON Lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Output for Json {
    fn write(&mut self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        let groups = || report.groups.iter().chain(&report.half_closed);
        for group in groups() {
            for leak in &group.leaks {
                write_line(out, &objects::Leak::new(group, leak))?;
            }
        }
        for group in groups() {
            write_line(out, &objects::Group::new(report, group))?;
        }
        write_line(out, &objects::Summary::new(report))?;
        out.flush()
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub use tests::document;

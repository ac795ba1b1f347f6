//! Where one table follows another.

use std::io::{self, Write};

/// Clears the terminal and goes to its first line.
const CLEAR: &str = "\x1b[2J\x1b[H";
/// Goes to the first line; what stands there is written over, so that nothing flickers.
const HOME: &str = "\x1b[H";
/// Clears to the end of the line, and of the screen.
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";

/// Where one table follows another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// In place of the one before, on a terminal; else below it.
    in_place: bool,
    is_first: bool,
}

impl Screen {
    /// Nothing was shown yet.
    #[must_use]
    pub fn new(in_place: bool) -> Self {
        Self { in_place, is_first: true }
    }

    /// Shows the lines of a table.
    ///
    /// # Errors
    ///
    /// Whatever `out` fails with.
    pub fn show(&mut self, lines: &[String], out: &mut dyn Write) -> io::Result<()> {
        let (before, end_of_line, end) = match (self.in_place, self.is_first) {
            (true, true) => (CLEAR, REST_OF_LINE, REST_OF_SCREEN),
            (true, false) => (HOME, REST_OF_LINE, REST_OF_SCREEN),
            (false, true) => ("", "", ""),
            (false, false) => ("\n", "", ""),
        };
        self.is_first = false;
        let mut text = before.to_owned();
        for line in lines {
            text.push_str(line.trim_end());
            text.push_str(end_of_line);
            text.push('\n');
        }
        text.push_str(end);
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(in_place: bool) -> String {
        let mut screen = Screen::new(in_place);
        let mut out = Vec::new();
        for text in ["one  ", "two"] {
            screen.show(&[text.to_owned(), "end".to_owned()], &mut out).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn below_the_one_before_or_in_its_place() {
        assert_eq!(shown(false), "one\nend\n\ntwo\nend\n");
        let first = "\x1b[2J\x1b[Hone\x1b[K\nend\x1b[K\n\x1b[J";
        assert_eq!(shown(true), format!("{first}\x1b[Htwo\x1b[K\nend\x1b[K\n\x1b[J"));
    }
}

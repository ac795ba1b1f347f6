//! JSON that is safe to `cat`: what a terminal could act on is written as `\uNNNN`.
//!
//! serde_json escapes quotes, backslashes and C0. DEL, C1 and marks that hide or turn text are
//! legal in JSON and are escaped here; a parser gets the same string either way.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

use crate::lifecycle::text::is_hazard;

/// `value` as one line of JSON.
///
/// # Errors
///
/// Whatever `out` fails with.
pub fn write_line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    let mut line = Vec::with_capacity(1024);
    value.serialize(&mut Serializer::with_formatter(&mut line, Safe))?;
    line.push(b'\n');
    out.write_all(&line)
}

/// `text` as a JSON string, with its quotes.
pub fn quoted(text: &str) -> String {
    let mut line = Vec::with_capacity(text.len() + 2);
    // Neither writing to a Vec nor a string as such can fail.
    let _ = text.serialize(&mut Serializer::with_formatter(&mut line, Safe));
    String::from_utf8_lossy(&line).into_owned()
}

struct Safe;

impl Formatter for Safe {
    fn write_string_fragment<W>(&mut self, out: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_hazard) {
            let (harmless, behind) = rest.split_at(at);
            out.write_all(harmless.as_bytes())?;
            let mut characters = behind.chars();
            if let Some(hazard) = characters.next() {
                for unit in hazard.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}")?;
                }
            }
            rest = characters.as_str();
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> String {
        let mut out = Vec::new();
        write_line(&mut out, &text).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn hazards_are_escaped_and_the_rest_is_not() {
        assert_eq!(json("plain 日本 \" \\"), "\"plain 日本 \\\" \\\\\"\n");
        assert_eq!(json("\x1b[2J\n"), "\"\\u001b[2J\\n\"\n");
        assert_eq!(json("\x7f\u{9b}31m\u{202e}"), "\"\\u007f\\u009b31m\\u202e\"\n");
        assert_eq!(json("\u{e0041}"), "\"\\udb40\\udc41\"\n");
    }

    #[test]
    fn a_parser_gets_the_same_string() {
        for text in ["", "\u{85}a\u{61c}b\u{e007f}\0\x1b\u{feff}", "é\u{2066}\u{2069}"] {
            assert_eq!(serde_json::from_str::<String>(&json(text)).unwrap(), text);
        }
    }
}

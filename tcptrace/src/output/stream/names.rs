//! Names of processes, made harmless once each.

use std::collections::HashMap;

use crate::lifecycle::text::from_padded;
use crate::output::{cell, escape};

/// A name as the kernel has it, padded with NULs.
type Raw = [u8; 16];

/// Names that are kept. More come only from somebody who renames processes on purpose.
const MOST: usize = 4096;

/// Names as one format shows them.
pub struct Names {
    known: HashMap<Raw, Name>,
    show: fn(&str) -> String,
    /// Characters that are as harmless as the rest of ASCII elsewhere, but not here.
    special: &'static [u8],
}

/// A name, ready to print.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name {
    text: String,
    width: usize,
}

impl Names {
    /// As JSON strings, quotes included.
    pub fn json() -> Self {
        Self { known: HashMap::new(), show: escape::quoted, special: b"\"\\" }
    }

    /// For a terminal.
    pub fn plain() -> Self {
        Self { known: HashMap::new(), show: cell::safe, special: b"" }
    }

    /// Hands over a name and the columns that it takes, for [`Self::plain`].
    pub fn with(&mut self, raw: &Raw, each: impl FnOnce(&str, usize)) {
        match self.harmless(raw) {
            Some(text) => each(text, text.len()),
            None => {
                let name = self.shown(raw);
                each(&name.text, name.width);
            }
        }
    }

    /// Writes a name, for [`Self::json`].
    pub fn write_quoted(&mut self, raw: &Raw, out: &mut Vec<u8>) {
        match self.harmless(raw) {
            Some(text) => {
                out.push(b'"');
                out.extend_from_slice(text.as_bytes());
                out.push(b'"');
            }
            None => out.extend_from_slice(self.shown(raw).text.as_bytes()),
        }
    }

    /// The name, where it can be shown as it is.
    fn harmless<'a>(&self, raw: &'a Raw) -> Option<&'a str> {
        let length = raw.iter().position(|byte| *byte == 0).unwrap_or(raw.len());
        let bytes = raw.get(..length)?;
        let is_plain = |byte: &u8| matches!(byte, b' '..=b'~') && !self.special.contains(byte);
        let text = bytes.iter().all(is_plain).then(|| std::str::from_utf8(bytes));
        text?.ok()
    }

    fn shown(&mut self, raw: &Raw) -> &Name {
        if self.known.len() >= MOST && !self.known.contains_key(raw) {
            self.known.clear();
        }
        let show = self.show;
        self.known.entry(*raw).or_insert_with(|| {
            let text = show(&from_padded(raw));
            Name { width: cell::width(&text), text }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(name: &[u8]) -> Raw {
        let mut raw = [0; 16];
        raw[..name.len()].copy_from_slice(name);
        raw
    }

    fn plain(name: &[u8]) -> (String, usize) {
        let (mut names, mut result) = (Names::plain(), (String::new(), 0));
        for _ in 0..2 {
            names.with(&raw(name), |text, width| result = (text.to_owned(), width));
        }
        result
    }

    fn json(name: &[u8]) -> String {
        let mut out = Vec::new();
        Names::json().write_quoted(&raw(name), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn names_are_harmless_in_each_format() {
        assert_eq!(plain(b"nginx"), ("nginx".into(), 5));
        assert_eq!(plain(b"a\x1b[2J\xff"), ("a\\x1b[2J\\xff".into(), 12));
        assert_eq!(plain("日本".as_bytes()), ("日本".into(), 4));
        assert_eq!(plain(b"\"\\"), ("\"\\".into(), 2));
        assert_eq!(json(b"nginx"), "\"nginx\"");
        assert_eq!(json(b"\"\\\n\x7f"), "\"\\\"\\\\\\n\\u007f\"");
        assert_eq!(json(b"0123456789abcdef"), "\"0123456789abcdef\"");
        assert_eq!(json(b""), "\"\"");
    }

    #[test]
    fn names_without_end_take_no_memory_without_end() {
        let mut names = Names::json();
        for number in 0..3 * MOST {
            names.write_quoted(&raw(format!("\n{number}").as_bytes()), &mut Vec::new());
        }
        assert!((1..=MOST).contains(&names.known.len()));
    }
}

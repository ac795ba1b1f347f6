//! Text from strangers: names that other processes chose, made into text and made harmless.
//!
//! [`from_bytes`] turns a name into text without losing a byte of it; [`visible`] shows what could
//! move the cursor, hide text or reverse it. The first is for where bytes come in, the second for
//! the edge where text goes out to a terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

/// `bytes` as text. What is not UTF-8 is shown as `\xNN`, one for each byte.
#[must_use]
pub fn from_bytes(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            push_byte(&mut text, *byte);
        }
    }
    text
}

/// A name padded with NULs, as `task_struct.comm` is: text up to the first NUL.
#[must_use]
pub fn from_padded(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    from_bytes(bytes.get(..end).unwrap_or_default())
}

/// `text` with each hazardous character shown: `\x1b`, `\u{202e}`. Never more than one line.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_hazard) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match u8::try_from(character) {
            Ok(byte) if byte.is_ascii_control() => push_byte(&mut shown, byte),
            _ if is_hazard(character) => push_code_point(&mut shown, character),
            _ => shown.push(character),
        }
    }
    Cow::Owned(shown)
}

/// Whether a terminal or a reader could be fooled by this character: control characters (C0, DEL,
/// C1), line and paragraph separators, marks that change direction, and invisible ones.
#[must_use]
pub fn is_hazard(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn push_byte(text: &mut String, byte: u8) {
    // Writing to a String cannot fail.
    let _ = write!(text, "\\x{byte:02x}");
}

fn push_code_point(text: &mut String, character: char) {
    // Writing to a String cannot fail.
    let _ = write!(text, "\\u{{{:x}}}", u32::from(character));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_not_utf8_are_shown_and_none_is_lost() {
        assert_eq!(from_bytes(b"caf\xc3\xa9"), "café");
        assert_eq!(from_bytes(b"a\xff\xfeb\xc3"), "a\\xff\\xfeb\\xc3");
        assert_eq!(from_bytes(b""), "");
    }

    #[test]
    fn a_padded_name_ends_at_its_first_nul() {
        assert_eq!(from_padded(b"sleep\0\0\0rest"), "sleep");
        assert_eq!(from_padded(b"fifteen-letters"), "fifteen-letters");
        assert_eq!(from_padded(b"\0"), "");
    }

    #[test]
    fn harmless_text_is_left_alone() {
        for text in ["java", "日本語", "naïve", "a\\x1b", "e\u{301}"] {
            assert!(matches!(visible(text), Cow::Borrowed(shown) if shown == text));
        }
    }

    #[test]
    fn whatever_moves_the_cursor_or_the_direction_is_shown() {
        assert_eq!(visible("\x1b[2Jevil"), "\\x1b[2Jevil");
        assert_eq!(visible("two\nlines\r\t\x7f"), "two\\x0alines\\x0d\\x09\\x7f");
        assert_eq!(visible("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(visible("a\u{202e}b\u{2066}c\u{61c}"), "a\\u{202e}b\\u{2066}c\\u{61c}");
        assert_eq!(visible("\u{200e}\u{200f}\u{2069}\u{2028}"), {
            "\\u{200e}\\u{200f}\\u{2069}\\u{2028}"
        });
        assert_eq!(visible("\u{e0041}\u{feff}"), "\\u{e0041}\\u{feff}");
    }
}

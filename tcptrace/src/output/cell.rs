//! Cells of a table: made harmless, cut and padded by the width that a terminal gives them.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::lifecycle::text::visible;

/// Columns that `text` takes.
pub fn width(text: &str) -> usize {
    text.width()
}

/// Text from a stranger, fit for a terminal: see [`visible`].
pub fn safe(text: &str) -> String {
    visible(text).into_owned()
}

/// At most `limit` columns of `text`; where something is cut off, `…` says so.
pub fn cut(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let mut used = 0;
    let fits = |character: &char| {
        used += character.width().unwrap_or(0);
        used < limit
    };
    let mut short: String = text.chars().take_while(fits).collect();
    if limit > 0 {
        short.push('…');
    }
    short
}

/// The end of `text`, at most `limit` columns of it, `…` before it where something is cut off.
pub fn cut_left(text: &str, limit: usize) -> String {
    if width(text) <= limit {
        return text.to_owned();
    }
    let mut used = 0;
    let fits = |character: &char| {
        used += character.width().unwrap_or(0);
        used < limit
    };
    let kept = text.chars().rev().take_while(fits).count();
    let end = text.chars().skip(text.chars().count() - kept);
    let mark = (limit > 0).then_some('…');
    mark.into_iter().chain(end).collect()
}

/// `text` and blanks up to `columns`.
pub fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// Blanks up to `columns` and `text`.
pub fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// `parts`, joined by `separator` into as few lines of at most `limit` columns as they need. A
/// part that is too long for a line is cut.
pub fn flow(parts: &[String], separator: &str, limit: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line) if width(line) + width(separator) + width(part) <= limit => {
                line.push_str(separator);
                line.push_str(part);
            }
            _ => lines.push(cut(part, limit)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_counts_columns_and_not_bytes() {
        assert_eq!(cut("short", 5), "short");
        assert_eq!(cut("longer", 5), "long…");
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("e\u{301}e\u{301}e\u{301}", 2), "e\u{301}…");
        assert_eq!(cut("x", 0), "");
        for limit in 0..8 {
            assert!(width(&cut("a日b本c語", limit)) <= limit);
        }
    }

    #[test]
    fn the_end_of_a_text_can_be_what_stays() {
        assert_eq!(cut_left("short", 5), "short");
        assert_eq!(cut_left("longer", 5), "…nger");
        assert_eq!(cut_left("日本語", 5), "…本語");
        assert_eq!(cut_left("日本語", 4), "…語");
        assert_eq!(cut_left("x", 0), "");
        for limit in 0..8 {
            assert!(width(&cut_left("a日b本c語", limit)) <= limit);
        }
    }

    #[test]
    fn padding_counts_columns() {
        assert_eq!(left("日", 4), "日  ");
        assert_eq!(right("日", 4), "  日");
        assert_eq!(left("long", 2), "long");
    }

    #[test]
    fn parts_flow_into_lines() {
        let parts = ["one".to_owned(), "two".to_owned(), "three-is-long".to_owned()];
        assert_eq!(flow(&parts, " · ", 9), ["one · two", "three-is…"]);
        assert_eq!(flow(&parts, " · ", 100), ["one · two · three-is-long"]);
        assert!(flow(&[], " ", 9).is_empty());
    }
}

//! What nothing that the tool prints may have in it.

use anyhow::{Context, Result, ensure};

use crate::tool::Finished;

/// Fails unless all that was printed is text in which nothing moves a cursor, hides, or turns round.
pub fn check(finished: &Finished, what: &str) -> Result<()> {
    for line in &finished.stdout {
        let text = std::str::from_utf8(&line.bytes);
        text_is(text.with_context(|| format!("{what}: not UTF-8"))?, what)?;
    }
    finished.stderr.lines().try_for_each(|line| text_is(line, what))
}

fn text_is(line: &str, what: &str) -> Result<()> {
    let found = line.chars().find(|character| is_hazard(*character));
    ensure!(found.is_none(), "{what}: {found:?} in {line:?}");
    Ok(())
}

/// Control characters, and those of Unicode that separate lines, turn text round or do not show.
fn is_hazard(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{ad}' | '\u{61c}' | '\u{feff}' | '\u{200b}'..='\u{200f}')
        || matches!(character, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hazard_is_found() {
        assert!(text_is("plain, naïve, 日本語", "it").is_ok());
        for line in ["\x1b[2J", "a\u{202e}b", "a\tb", "\u{9b}31m", "\u{200b}"] {
            assert!(text_is(line, "it").is_err(), "{line:?}");
        }
    }
}

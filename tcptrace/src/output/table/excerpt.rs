//! Which frames of a long stack are shown.

use crate::lifecycle::stack::Frame;
use crate::output::own::is_own;

/// A part of a stack.
#[derive(Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// Frames that are shown.
    Frames(&'a [&'a Frame]),
    /// As many frames that are not shown, to come to the application's own sooner.
    Libraries(usize),
    /// As many frames behind them.
    Rest(usize),
}

/// Frames of libraries that are shown before the application's, where there are many.
const CALLERS: usize = 2;

/// The innermost frames; where the application's own begin further out, the first two and those.
pub fn parts<'a>(frames: &'a [&'a Frame], most: usize) -> Vec<Part<'a>> {
    // A line that says "1 more" is no shorter than the frame.
    if frames.len() <= most.saturating_add(1) {
        return vec![Part::Frames(frames)];
    }
    let own = frames.iter().position(|frame| is_own(frame)).filter(|own| *own >= most);
    let (mut parts, from) = match own {
        Some(own) => {
            let callers = CALLERS.min(most);
            let head = vec![Part::Frames(&frames[..callers]), Part::Libraries(own - callers)];
            (head, own)
        }
        None => (Vec::new(), 0),
    };
    let left = if own.is_some() { most.saturating_sub(CALLERS).max(1) } else { most };
    let behind = frames.len() - from;
    let count = if behind <= left + 1 { behind } else { left };
    parts.push(Part::Frames(&frames[from..from + count]));
    if behind > count {
        parts.push(Part::Rest(behind - count));
    }
    parts
}

/// Lines that say the same, one after the other, as one.
pub fn folded(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for line in lines {
        match counted.last_mut() {
            Some((last, count)) if *last == line => *count += 1,
            _ => counted.push((line, 1)),
        }
    }
    let text = |(line, count)| if count == 1 { line } else { format!("{line} ×{count}") };
    counted.into_iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::stack::Language;

    #[test]
    fn the_applications_own_code_is_shown_even_behind_many_frames_of_libraries() {
        let python = |file: &str| Frame {
            language: Language::Python,
            file: Some(file.into()),
            ..Frame::default()
        };
        let library = python("/usr/lib/python3.11/http/client.py");
        let own = python("/srv/prices.py");
        let frames = [vec![&library; 9], vec![&own; 2]].concat();
        let expected = [Part::Frames(&frames[..2]), Part::Libraries(7), Part::Frames(&frames[9..])];
        assert_eq!(parts(&frames, 6), expected);
        let deep = [vec![&library; 9], vec![&own; 9]].concat();
        let expected = [
            Part::Frames(&deep[..2]),
            Part::Libraries(7),
            Part::Frames(&deep[9..13]),
            Part::Rest(5),
        ];
        assert_eq!(parts(&deep, 6), expected);
        assert_eq!(parts(&deep[8..], 6), [Part::Frames(&deep[8..14]), Part::Rest(4)]);
        assert_eq!(parts(&deep, usize::MAX), [Part::Frames(&deep)]);
    }

    #[test]
    fn lines_that_say_the_same_are_one() {
        let lines = ["a", "b", "b", "b", "a"].map(str::to_owned);
        assert_eq!(folded(lines.into_iter()), ["a", "b ×3", "a"]);
    }
}

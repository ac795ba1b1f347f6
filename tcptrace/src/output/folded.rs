//! Folded stacks: `process;outer;…;inner count`, one line for each stack, as flame graph tools
//! read them.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::Output;
use super::frame::{name, outermost_first};
use crate::lifecycle::group::blamed;
use crate::lifecycle::report::{Leak, Report};
use crate::lifecycle::stack::{Stack, StackStatus};
use crate::lifecycle::text::visible;
use crate::lifecycle::weight::Weight;

/// Which frames are in a picture of stacks and what a socket counts in it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Folding {
    /// What a socket counts.
    pub weight: Weight,
    /// Whether machine code below Python is in it.
    pub native: bool,
}

/// Folded stacks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Folded(pub Folding);

impl Output for Folded {
    fn write(&mut self, report: &Report, out: &mut dyn Write) -> io::Result<()> {
        for line in self.0.lines(report) {
            writeln!(out, "{line}")?;
        }
        out.flush()
    }
}

impl Folding {
    /// Sorted lines.
    pub fn lines(self, report: &Report) -> Vec<String> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for leak in report.groups.iter().flat_map(|group| &group.leaks) {
            if let Some(weight) = self.weight.of(leak) {
                *counts.entry(self.path(leak)).or_default() += weight;
            }
        }
        counts.into_iter().map(|(path, count)| format!("{path} {count}")).collect()
    }

    fn path(self, leak: &Leak) -> String {
        let holders = blamed(leak);
        let process = holders.first().map_or("(no process)", |holder| holder.party.comm.as_str());
        let stack = leak.origin();
        let mut parts = vec![clean(process)];
        parts.extend(missing(stack).map(str::to_owned));
        let frames = outermost_first(stack, self.native);
        parts.extend(frames.into_iter().map(|frame| clean(&name(frame))));
        parts.join(";")
    }
}

/// What stands where outer frames, or all, are missing.
fn missing(stack: &Stack) -> Option<&'static str> {
    match stack.status {
        StackStatus::Ok => None,
        StackStatus::Truncated(_) => Some("[truncated]"),
        StackStatus::NotTraced(_) => Some("[not traced]"),
        StackStatus::Failed(_) => Some("[unwind failed]"),
    }
}

/// A name without what would end a frame or a line, or what XML cannot hold.
fn clean(name: &str) -> String {
    let harmless = |character: char| match character {
        ';' => ':',
        '\u{fffe}' | '\u{ffff}' => '\u{fffd}',
        character if character.is_whitespace() => '_',
        character => character,
    };
    let name: String = visible(name).chars().map(harmless).collect();
    if name.is_empty() { "?".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixtures;
    use crate::output::golden::assert_golden;

    fn text(report: &Report, folding: Folding) -> String {
        let mut out = Vec::new();
        Folded(folding).write(report, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_look_as_agreed() {
        let both = |folding| {
            format!("{}{}", text(&fixtures::full(), folding), text(&fixtures::servers(), folding))
        };
        assert_golden("folded.txt", &both(Folding::default()));
        let all = Folding { weight: Weight::Seconds, native: true };
        assert_golden("folded_native_seconds.txt", &both(all));
        assert_eq!(text(&fixtures::empty(), Folding::default()), "");
    }

    #[test]
    fn every_socket_is_counted_once() {
        let report = fixtures::full();
        let counts = |line: &str| line.rsplit(' ').next().unwrap().parse::<usize>().unwrap();
        let sum: usize = text(&report, Folding::default()).lines().map(counts).sum();
        assert_eq!(sum, report.leaks());
    }

    #[test]
    fn no_name_breaks_a_line_or_a_frame() {
        assert_eq!(clean("a;b c\td\ne\u{a0}f"), "a:b_c\\x09d\\x0ae_f");
        assert_eq!(clean("\x1b[2J\u{ffff}"), "\\x1b[2J\u{fffd}");
        assert_eq!(clean(""), "?");
        assert_eq!(clean("# "), "#_");
    }
}

//! A stack of the tool against one of gdb.

use std::fmt;

use super::event::Event;
use super::reported::Reported;

/// What became of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same frames.
    Same,
    /// Frames are missing, and the tool says so; those it shows are right.
    Short,
    /// A wrong stack is presented as right.
    Wrong,
}

/// One comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Frames from the innermost one on that are the same.
    pub equal: usize,
    /// Frames that gdb has.
    pub of: usize,
    /// Where the two differ first; `None` where they are the same.
    pub first_difference: Option<usize>,
    /// Whether that is a lie.
    pub verdict: Verdict,
}

/// Compares frame by frame, innermost first.
pub fn compare(tool: &Reported, gdb: &Event) -> Comparison {
    let truth = gdb.pcs();
    let pairs = tool.addresses.iter().zip(&truth);
    let equal = pairs.take_while(|(tool, gdb)| tool == gdb).count();
    let same = equal == truth.len() && equal == tool.addresses.len();
    let is_prefix = equal == tool.addresses.len() && tool.status != "ok";
    let verdict = match (same, is_prefix) {
        (true, _) => Verdict::Same,
        (false, true) => Verdict::Short,
        (false, false) => Verdict::Wrong,
    };
    Comparison { equal, of: truth.len(), first_difference: (!same).then_some(equal), verdict }
}

/// The sum of many comparisons.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// Stacks compared.
    pub stacks: usize,
    /// Frames that are the same.
    pub equal: usize,
    /// Frames that gdb has.
    pub of: usize,
    /// What differs and is admitted, in words.
    pub short: Vec<String>,
    /// What is wrong and presented as right, in words.
    pub wrong: Vec<String>,
}

impl Score {
    /// Adds one comparison; `what` says of what.
    pub fn add(&mut self, what: &str, tool: &Reported, gdb: &Event) {
        let found = compare(tool, gdb);
        self.stacks += 1;
        self.equal += found.equal;
        self.of += found.of;
        match found.verdict {
            Verdict::Same => {}
            Verdict::Short => self.short.push(describe(what, found, tool, gdb)),
            Verdict::Wrong => self.wrong.push(describe(what, found, tool, gdb)),
        }
    }

    /// Whether 95 frames of 100 are the same and nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.stacks > 0 && self.wrong.is_empty() && self.equal * 100 >= self.of * 95
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { stacks, equal, of, short, wrong } = self;
        writeln!(f, "{equal} of {of} frames in {stacks} stacks are the same")?;
        writeln!(f, "{} stacks are short, {} wrong", short.len(), wrong.len())?;
        wrong.iter().chain(short).take(5).try_for_each(|text| writeln!(f, "{text}"))
    }
}

fn describe(what: &str, found: Comparison, tool: &Reported, gdb: &Event) -> String {
    let at = found.first_difference.unwrap_or_default();
    let mut text = format!("{what}: frame {at} differs; {} {}", tool.status, tool.reason);
    for depth in 0..tool.addresses.len().max(gdb.frames.len()) {
        let ours = tool.addresses.get(depth).map_or_else(String::new, |pc| format!("{pc:#x}"));
        let frame = gdb.frames.get(depth);
        let theirs =
            frame.map_or_else(String::new, |frame| format!("{:#x} {}", frame.pc, frame.name));
        text += &format!("\n  {depth:3} {ours:20} {theirs}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(status: &str, addresses: &[u64]) -> Reported {
        let addresses = addresses.to_vec();
        Reported { status: status.to_owned(), reason: String::new(), addresses }
    }

    fn gdb(line: &str) -> Event {
        Event::parse(&format!("stack accept 1 2 3 {line}")).unwrap().unwrap()
    }

    #[test]
    fn the_same_down_to_the_root() {
        let found = compare(&tool("ok", &[1, 2]), &gdb("1/accept 2/clone3 5/?"));
        assert_eq!((found.verdict, found.equal, found.of), (Verdict::Same, 2, 2));
        assert_eq!(found.first_difference, None);
    }

    #[test]
    fn what_is_missing_must_be_admitted() {
        let truth = gdb("1/accept 2/main 3/_start");
        let found = compare(&tool("truncated", &[1, 2]), &truth);
        assert_eq!((found.verdict, found.first_difference), (Verdict::Short, Some(2)));
        assert_eq!(compare(&tool("ok", &[1, 2]), &truth).verdict, Verdict::Wrong);
    }

    #[test]
    fn a_wrong_frame_is_wrong_whatever_the_status() {
        let truth = gdb("1/accept 2/main 3/_start");
        for status in ["ok", "truncated"] {
            assert_eq!(compare(&tool(status, &[1, 7]), &truth).verdict, Verdict::Wrong);
        }
        assert_eq!(compare(&tool("ok", &[1, 2, 3, 4]), &truth).verdict, Verdict::Wrong);
    }

    #[test]
    fn a_score_needs_95_of_100_and_no_lie() {
        let truth = gdb("1/accept 2/main 3/_start");
        let mut score = Score::default();
        assert!(!score.is_good());
        score.add("a", &tool("ok", &[1, 2, 3]), &truth);
        assert!(score.is_good());
        score.add("b", &tool("truncated", &[1]), &truth);
        assert!(!score.is_good() && score.wrong.is_empty());
        score.add("c", &tool("ok", &[9]), &truth);
        assert!(score.to_string().contains("1 wrong"), "{score}");
    }
}

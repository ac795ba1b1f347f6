//! The rest of a stack that the kernel side could not finish.

use tcptrace_common::stack::{MAX_COPY, MAX_FRAMES};
use tcptrace_common::unwind::{Frame, Rule, Step, cfa, step};

use super::reason::Ending;
use super::record::Record;

/// One frame on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// Program counter.
    pub pc: u64,
    /// As in [`Frame::is_leaf`].
    pub is_leaf: bool,
}

/// Why a walk stopped at its last frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// There is no rule for the last frame.
    NoRule,
    /// Any other.
    Ending(Ending),
}

/// Walks on from the record's frontier, which is the last of `frames`, over the copied stack.
pub fn resume(
    record: &Record<'_>,
    frames: &mut Vec<Walked>,
    mut rule_of: impl FnMut(&Walked) -> Option<Rule>,
) -> Stop {
    let mut frame = record.header.frontier;
    loop {
        let walked = Walked { pc: frame.pc, is_leaf: frame.is_leaf != 0 };
        let Some(rule) = rule_of(&walked).filter(|rule| rule.cfa != cfa::NONE) else {
            return Stop::NoRule;
        };
        let mut missed = 0;
        let read = |address| {
            record.word(address).or_else(|| {
                missed = address;
                None
            })
        };
        frame = match step(&frame, &rule, read) {
            Step::Caller(caller) => caller,
            Step::End => return Stop::Ending(Ending::Complete),
            Step::Unreadable => return Stop::Ending(unread(record, &frame, missed)),
            Step::Broken => return Stop::Ending(Ending::Broken),
        };
        if frames.len() >= MAX_FRAMES {
            return Stop::Ending(Ending::TooLong);
        }
        frames.push(Walked { pc: frame.pc, is_leaf: frame.is_leaf != 0 });
    }
}

/// Whether the copy was too short, or there is no stack at all where one was looked for.
fn unread(record: &Record<'_>, frame: &Frame, missed: u64) -> Ending {
    let is_full = record.copy.len() == MAX_COPY;
    if is_full && missed >= frame.sp { Ending::BeyondCopy } else { Ending::Unreadable }
}

//! Doubt: frames that were reached by an assumption have to be borne out by calls.

use tcptrace_common::unwind::{cfa, rule_flag};

use super::{Case, Stacks, Updates};
use crate::stacks::arch::Arch;
use crate::stacks::calls::{self, CALL_BYTES, Call};
use crate::stacks::memory;
use crate::stacks::raw::Origin;
use crate::stacks::reason::Ending;
use crate::stacks::walk::Walked;

impl Stacks {
    /// Checks each frame that was reached by an assumption, or from one that was: it has to follow
    /// a call that can have led to the frame before, which must have kept a frame pointer. What
    /// fails is cut off.
    pub(super) fn checked(
        &mut self,
        case: &Case<'_>,
        frames: &mut Vec<Walked>,
        ending: Ending,
        updates: &mut Updates,
    ) -> Ending {
        let mut is_doubtful = false;
        for index in 0..frames.len() {
            let Some(frame) = frames.get(index).copied() else { break };
            let callee = index.checked_sub(1).and_then(|index| frames.get(index)).copied();
            if is_doubtful
                && !callee.is_some_and(|callee| {
                    self.has_frame(case, frames, index - 1)
                        && self.is_call(case, &frame, &callee, updates)
                })
            {
                frames.truncate(index);
                return self.no_rule(case, frames);
            }
            is_doubtful |= self.is_assumed(case, &frame, updates);
        }
        // Where nothing says that it is the outermost frame, a zero in a register does not either;
        // and what else its register may be says as little.
        let by_register = matches!(
            ending,
            Ending::Complete | Ending::Broken | Ending::Unreadable | Ending::NoCode(_)
        );
        if by_register && self.is_assumed_jit(case, frames, updates) {
            return self.no_rule(case, frames);
        }
        ending
    }

    /// Whether a frame has a frame pointer, as far as it is made code. What native code was called
    /// by has one in Java too, and so has its interpreter; of compiled methods a later frame's
    /// `rbp` would be taken for theirs, and all frames between be missing.
    fn has_frame(&mut self, case: &Case<'_>, frames: &[Walked], index: usize) -> bool {
        let task = &case.record.header.task;
        let Some(image) = self.images.get_mut(case.tag) else { return false };
        if image.keeps_made_frames(task) {
            return true;
        }
        let mut is_made = |index: usize| {
            let frame = frames.get(index);
            frame.is_some_and(|frame| {
                matches!(image.origin(frame.pc, task, &mut self.files), Origin::Jit)
            })
        };
        let calls_made = index.checked_sub(1).is_none_or(&mut is_made);
        if !is_made(index) || !calls_made {
            return true;
        }
        let code = frames.get(index).and_then(|frame| memory::read(task.pid, frame.pc));
        code.is_some_and(calls::has_java_frame)
    }

    fn is_assumed(&mut self, case: &Case<'_>, frame: &Walked, updates: &mut Updates) -> bool {
        let rule = self.rule(case.tag, &case.record.header.task, frame, updates);
        rule.is_some_and(|rule| rule.flags & rule_flag::ASSUMED != 0)
    }

    fn is_assumed_jit(
        &mut self,
        case: &Case<'_>,
        frames: &[Walked],
        updates: &mut Updates,
    ) -> bool {
        let Some(last) = frames.last().copied() else { return false };
        self.is_assumed(case, &last, updates) && !self.is_go(case, last.pc)
    }

    fn is_go(&mut self, case: &Case<'_>, pc: u64) -> bool {
        let image = self.images.get_mut(case.tag);
        let code =
            image.and_then(|image| image.code(pc, &case.record.header.task, &mut self.files));
        code.is_some_and(|(code, _)| code.elf().is_some_and(|elf| elf.is_go))
    }

    /// Whether a call ends at `frame` that can have led to `callee`. A direct call into a function
    /// that the tables describe did not lead into one that they do not.
    fn is_call(
        &mut self,
        case: &Case<'_>,
        frame: &Walked,
        callee: &Walked,
        updates: &mut Updates,
    ) -> bool {
        let Some(code) = self.code_before(case, frame.pc) else { return false };
        match calls::before(Arch::HERE, code) {
            None => {
                let pid = case.record.header.task.pid;
                memory::read(pid, frame.pc).is_some_and(calls::is_java_return)
            }
            Some(Call::Indirect) => true,
            Some(Call::Direct(distance)) => {
                let target = frame.pc.wrapping_add_signed(i64::from(distance));
                !self.is_assumed(case, callee, updates) || !self.is_described(case, target)
            }
        }
    }

    fn is_described(&mut self, case: &Case<'_>, pc: u64) -> bool {
        let rule = self.compile(case.tag, &case.record.header.task, &Walked { pc, is_leaf: true });
        rule.is_some_and(|rule| rule.cfa != cfa::NONE && rule.flags & rule_flag::ASSUMED == 0)
    }

    fn code_before(&mut self, case: &Case<'_>, pc: u64) -> Option<[u8; CALL_BYTES]> {
        let task = &case.record.header.task;
        let image = self.images.get_mut(case.tag)?;
        let start = pc.checked_sub(CALL_BYTES as u64)?;
        image.mapping(start)?;
        match image.code(start, task, &mut self.files) {
            Some((code, offset)) => code.bytes(task.pid, offset).ok()?,
            None => memory::read(task.pid, start),
        }
    }
}

//! Rules, each compiled once.

use tcptrace_common::memory::Task;
use tcptrace_common::unwind::{Rule, RuleKey};

use super::{Stacks, Updates};
use crate::stacks::arch::Arch;
use crate::stacks::image::Sight;
use crate::stacks::mappings::Backing;
use crate::stacks::memory;
use crate::stacks::open::Content;
use crate::stacks::rules::{self, Query};
use crate::stacks::walk::Walked;

/// Most rules that are known at once; the map `RULES` holds as many. A process needs 10 to 100.
const MAX_RULES: usize = 65_536;

impl Stacks {
    /// The kernel side has asked for this rule, so it does not have it, whatever was sent.
    pub(super) fn send_again(&self, key: RuleKey, updates: &mut Updates) {
        let Some(rule) = self.rules.get(&key) else { return };
        if !updates.rules.iter().any(|(sent, _)| *sent == key) {
            updates.rules.push((key, Some(*rule)));
        }
    }

    /// The rule of a frame, compiled where it is not known; `None`: there is no code there.
    pub(super) fn rule(
        &mut self,
        tag: u32,
        task: &Task,
        frame: &Walked,
        updates: &mut Updates,
    ) -> Option<Rule> {
        let key = RuleKey { pc: frame.pc, tag, is_leaf: u32::from(frame.is_leaf) };
        if let Some(rule) = self.rules.get(&key) {
            return Some(*rule);
        }
        let rule = self.compile(tag, task, frame)?;
        if self.rules.len() >= MAX_RULES {
            // Those that are needed are compiled anew.
            updates.rules.extend(self.rules.drain().map(|(key, _)| (key, None)));
        }
        self.rules.insert(key, rule);
        updates.rules.push((key, Some(rule)));
        Some(rule)
    }

    pub(super) fn compile(&mut self, tag: u32, task: &Task, frame: &Walked) -> Option<Rule> {
        let image = self.images.get_mut(tag)?;
        match &image.mapping(frame.pc)?.backing {
            Backing::Vdso => return Some(of_vdso(task, frame)),
            Backing::Special => return Some(rules::NONE),
            Backing::Anonymous => return Some(made_code(frame.is_leaf)),
            Backing::File { .. } => {}
        }
        let Some((code, offset)) = image.code(frame.pc, task, &mut self.files) else {
            let is_final = image.sight(frame.pc) == Sight::Unreadable;
            return is_final.then_some(rules::NONE);
        };
        let elf = match &code.content {
            Content::Elf(elf) => elf,
            Content::Made => return Some(made_code(frame.is_leaf)),
            Content::Unreadable => return Some(rules::NONE),
        };
        let Some(address) = elf.code_address(offset) else { return Some(rules::NONE) };
        let bytes = code.bytes(task.pid, offset).ok()?.unwrap_or_default();
        let (pc, is_leaf, is_go) = (frame.pc, frame.is_leaf, elf.is_go);
        let query = Query { pc, address, is_leaf, arch: elf.arch, is_go, code: bytes };
        let tables = self.tables.of(task.pid, &code).ok()?;
        Some(rules::compile(tables, &mut self.context, &query))
    }
}

/// The kernel's code in a process. On aarch64 it is where signal handlers return to.
fn of_vdso(task: &Task, frame: &Walked) -> Rule {
    if Arch::HERE != Arch::Aarch64 {
        return rules::NONE;
    }
    let code = memory::read(task.pid, frame.pc);
    code.map_or(rules::NONE, |code| rules::of_bare_code(Arch::HERE, code))
}

/// The rule of code made at run time. A function that has just called the kernel itself may not
/// have made its frame.
const fn made_code(is_leaf: bool) -> Rule {
    if is_leaf { rules::NONE } else { rules::assumed(Arch::HERE) }
}

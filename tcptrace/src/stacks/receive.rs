//! Stacks as they come in, and what the kernel side is told in turn.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use gimli::UnwindContext;
use tcptrace_common::memory::Task;
use tcptrace_common::stack::{ProcessEntry, end};
use tcptrace_common::unwind::{Rule, RuleKey, cfa, rule_flag};

use super::calls::{self, CALL_BYTES, Call};
use super::image::{Images, Look};
use super::interpreter;
use super::mappings::Backing;
use super::open::{self, Files};
use super::raw::{Origin, Place, RawStack};
use super::reason::{self, Ending};
use super::record::Record;
use super::rules::{self, Query};
use super::tables::TableCache;
use super::walk::{self, Stop, Walked};
use crate::lifecycle::stack::StackStatus;

/// Most rules that are known at once; the map `RULES` holds as many. A process needs 10 to 100.
const MAX_RULES: usize = 65_536;
/// Stacks that are kept although nothing may want them any more.
const KEPT_STACKS: usize = 16_384;
/// Most stacks at all.
const MAX_STACKS: usize = 4 * KEPT_STACKS;

/// What is to be written into the kernel side's maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Updates {
    /// For `PROCESSES`; `None`: delete. To be written after [`Self::rules`].
    pub processes: Vec<(u32, Option<ProcessEntry>)>,
    /// For `RULES`; `None`: delete.
    pub rules: Vec<(RuleKey, Option<Rule>)>,
    /// Ids to delete from `SEEN`, so that those stacks are sent again.
    pub forget: Vec<u64>,
}

/// All that is known of stacks.
#[derive(Default)]
pub struct Stacks {
    images: Images,
    files: Files,
    tables: TableCache,
    context: UnwindContext<usize>,
    rules: HashMap<RuleKey, Rule>,
    stacks: HashMap<u64, Kept>,
    sweeps: u64,
}

struct Kept {
    stack: RawStack,
    /// Number of the sweep before which it came.
    came: u64,
}

/// A record on its way to a stack.
struct Case<'a> {
    record: &'a Record<'a>,
    tag: u32,
    /// Whether the memory map was read for it.
    has_looked: bool,
}

impl Stacks {
    /// None known.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a record of the ring buffer `STACKS`.
    ///
    /// # Errors
    ///
    /// The record is damaged.
    pub fn receive(&mut self, record: &[u8]) -> Result<Updates> {
        let record = Record::decode(record)?;
        let mut updates = Updates::default();
        let stack = match self.case(&record, &mut updates) {
            Ok(case) => self.stack(case, &mut updates),
            Err(reason) => failed(&record, reason),
        };
        self.keep(record.header.id, stack, &mut updates);
        Ok(updates)
    }

    /// The stack with an id.
    #[must_use]
    pub fn get(&self, id: u64) -> Option<&RawStack> {
        self.stacks.get(&id).map(|kept| &kept.stack)
    }

    /// Forgets what is of no use any more: processes that are gone, their rules, stacks that
    /// nothing wants. To be called every few seconds with the ids that sockets still have.
    pub fn sweep(&mut self, wanted: &HashSet<u64>) -> Updates {
        let mut updates = Updates::default();
        let (gone, unused) = self.images.sweep();
        updates.processes.extend(gone.into_iter().map(|key| (key, None)));
        let unused: HashSet<u32> = unused.into_iter().collect();
        let rules = self.rules.extract_if(|key, _| unused.contains(&key.tag));
        updates.rules.extend(rules.map(|(key, _)| (key, None)));
        if self.stacks.len() > KEPT_STACKS {
            let is_old =
                |id: &u64, kept: &mut Kept| kept.came < self.sweeps && !wanted.contains(id);
            updates.forget.extend(self.stacks.extract_if(is_old).map(|(id, _)| id));
        }
        self.sweeps += 1;
        self.files.sweep();
        self.tables.sweep();
        updates
    }

    fn keep(&mut self, id: u64, stack: RawStack, updates: &mut Updates) {
        if self.stacks.len() >= MAX_STACKS && !self.stacks.contains_key(&id) {
            updates.forget.push(id);
            return;
        }
        self.stacks.insert(id, Kept { stack, came: self.sweeps });
    }

    /// Finds the image that a record belongs to. A tag in the record is proof that the process has
    /// that image: exec() takes it away, fork() hands it on.
    fn case<'a>(
        &mut self,
        record: &'a Record<'a>,
        updates: &mut Updates,
    ) -> Result<Case<'a>, &'static str> {
        let header = &record.header;
        if self.images.knows(header.tgid, &header.task, header.tag) {
            return Ok(Case { record, tag: header.tag, has_looked: false });
        }
        match self.look(record, header.tag, updates) {
            Ok(tag) => Ok(Case { record, tag, has_looked: true }),
            Err(_) if self.images.has(header.tag) => {
                Ok(Case { record, tag: header.tag, has_looked: true })
            }
            Err(reason) => Err(reason),
        }
    }

    /// Reads the memory map of the record's process.
    fn look(
        &mut self,
        record: &Record<'_>,
        tag: u32,
        updates: &mut Updates,
    ) -> Result<u32, &'static str> {
        let header = &record.header;
        let (found, result) = match self.images.look(header.tgid, &header.task, tag) {
            Look::New(found) => (found, Ok(found)),
            Look::Known(found) => (found, Ok(found)),
            Look::Changed(found) => (found, Err(reason::CHANGED)),
            Look::Failed(reason) => return Err(reason),
        };
        if found != header.tag {
            updates.processes.push((header.tgid, Some(self.images.entry(found))));
        }
        result
    }

    fn stack(&mut self, mut case: Case<'_>, updates: &mut Updates) -> RawStack {
        let mut frames = self.walked(&case, updates);
        if let Err(reason) = self.look_again(&mut case, &frames, updates) {
            return failed(case.record, reason);
        }
        let before = frames.len();
        let mut ending = self.finish(&mut case, &mut frames, updates);
        if ending == Err(Missing) {
            // A library may have come since the memory map was read.
            if let Err(reason) = self.look_again(&mut case, &frames, updates) {
                return failed(case.record, reason);
            }
            frames.truncate(before);
            ending = self.finish(&mut case, &mut frames, updates);
        }
        let ending = ending.unwrap_or_else(|Missing| self.no_rule(&case, &mut frames));
        let ending = self.checked(&case, &mut frames, ending, updates);
        self.placed(&case, &frames, &ending)
    }

    /// The frames that the kernel side has walked. Only a signal frame makes a later one a leaf.
    fn walked(&mut self, case: &Case<'_>, updates: &mut Updates) -> Vec<Walked> {
        let mut is_leaf = true;
        let walked = case.record.pcs.iter().map(|pc| {
            let walked = Walked { pc: *pc, is_leaf };
            let rule = self.rule(case.tag, &case.record.header.task, &walked, updates);
            is_leaf = rule.is_some_and(|rule| rule.cfa == cfa::SIGNAL);
            walked
        });
        walked.collect()
    }

    /// Reads the memory map once more where a frame lies in no mapping that is known.
    fn look_again(
        &mut self,
        case: &mut Case<'_>,
        frames: &[Walked],
        updates: &mut Updates,
    ) -> Result<(), &'static str> {
        let image = self.images.get_mut(case.tag);
        let is_known =
            |frame: &Walked| image.as_ref().is_some_and(|image| image.mapping(frame.pc).is_some());
        if case.has_looked || frames.iter().all(is_known) {
            return Ok(());
        }
        case.has_looked = true;
        match self.look(case.record, case.tag, updates) {
            Ok(tag) => case.tag = tag,
            Err(reason::CHANGED) => return Err(reason::CHANGED),
            // It is gone: what is known has to do.
            Err(_) => {}
        }
        Ok(())
    }

    /// Walks on where the kernel side could not.
    fn finish(
        &mut self,
        case: &mut Case<'_>,
        frames: &mut Vec<Walked>,
        updates: &mut Updates,
    ) -> Result<Ending, Missing> {
        let header = &case.record.header;
        match header.end {
            end::NO_RULE | end::NO_PROCESS => {}
            end::NO_INFO => return Err(Missing),
            other => return Ok(Ending::of_kernel(other)),
        }
        let frontier = RuleKey {
            pc: header.frontier.pc,
            tag: case.tag,
            is_leaf: u32::from(header.frontier.is_leaf != 0),
        };
        let (tag, task) = (case.tag, &header.task);
        let stop = walk::resume(case.record, frames, |frame| self.rule(tag, task, frame, updates));
        self.send_again(frontier, updates);
        match stop {
            Stop::NoRule => Err(Missing),
            Stop::Ending(ending) => Ok(ending),
        }
    }

    /// The kernel side has asked for this rule, so it does not have it, whatever was sent.
    fn send_again(&self, key: RuleKey, updates: &mut Updates) {
        let Some(rule) = self.rules.get(&key) else { return };
        if !updates.rules.iter().any(|(sent, _)| *sent == key) {
            updates.rules.push((key, Some(*rule)));
        }
    }

    /// The rule of a frame, compiled where it is not known; `None`: there is no code there.
    fn rule(
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

    fn compile(&mut self, tag: u32, task: &Task, frame: &Walked) -> Option<Rule> {
        let image = self.images.get_mut(tag)?;
        match &image.mapping(frame.pc)?.backing {
            Backing::Vdso | Backing::Special => return Some(rules::NONE),
            Backing::Anonymous => return Some(made_code(frame.is_leaf)),
            Backing::File { .. } => {}
        }
        let Some((code, offset)) = image.code(frame.pc, task, &mut self.files) else {
            let is_final = super::identity::is_alive(task.pid, task.start_ns);
            return is_final.then_some(rules::NONE);
        };
        let Some(elf) = &code.elf else { return Some(made_code(frame.is_leaf)) };
        let Some(address) = elf.code_address(offset) else { return Some(rules::NONE) };
        let bytes = code.bytes(offset).unwrap_or_default();
        let (pc, is_leaf, is_go) = (frame.pc, frame.is_leaf, elf.is_go);
        let query = Query { pc, address, is_leaf, is_go, code: bytes };
        let tables = self.tables.of(code.id, &code.module.file, elf);
        Some(rules::compile(tables, &mut self.context, &query))
    }

    /// Why there is no rule for the last frame. One that lies in no code is no frame at all.
    fn no_rule(&mut self, case: &Case<'_>, frames: &mut Vec<Walked>) -> Ending {
        let Some(last) = frames.last().copied() else { return Ending::Unreadable };
        let Some(image) = self.images.get_mut(case.tag) else { return Ending::Unreadable };
        let backing = image.mapping(last.pc).map(|mapping| mapping.backing.clone());
        let is_jit =
            matches!(image.origin(last.pc, &case.record.header.task, &mut self.files), Origin::Jit);
        match backing {
            _ if is_jit => Ending::Jit { is_java: image.has_file("libjvm.so") },
            Some(Backing::File { path, .. }) => {
                Ending::NoInfo(path.rsplit('/').next().unwrap_or_default().to_owned())
            }
            Some(_) => Ending::Kernel,
            None => {
                if frames.len() > 1 {
                    frames.pop();
                }
                Ending::NoCode(last.pc)
            }
        }
    }

    /// Checks each frame that was reached by an assumption, or from one that was: it has to follow
    /// a call that can have led to the frame before. What fails is cut off.
    fn checked(
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
                && !callee.is_some_and(|callee| self.is_call(case, &frame, &callee, updates))
            {
                frames.truncate(index);
                return self.no_rule(case, frames);
            }
            let rule = self.rule(case.tag, &case.record.header.task, &frame, updates);
            is_doubtful |= rule.is_some_and(|rule| rule.flags & rule_flag::ASSUMED != 0);
        }
        // Where nothing says that it is the outermost frame, a zero in a register does not either.
        if ending == Ending::Complete && self.is_assumed_jit(case, frames, updates) {
            return self.no_rule(case, frames);
        }
        ending
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
        code.is_some_and(|(code, _)| code.elf.as_ref().is_some_and(|elf| elf.is_go))
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
        match calls::before(code) {
            None => false,
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
            Some((code, offset)) => code.bytes(offset),
            None => open::memory(task.pid, start),
        }
    }

    fn placed(&mut self, case: &Case<'_>, frames: &[Walked], ending: &Ending) -> RawStack {
        let header = &case.record.header;
        let places = frames.iter().map(|frame| {
            let image = self.images.get_mut(case.tag);
            let origin = image.map_or(Origin::Unknown, |image| {
                image.origin(frame.pc, &header.task, &mut self.files)
            });
            Place { address: frame.pc, is_leaf: frame.is_leaf, origin }
        });
        let frames = places.collect();
        let python = interpreter::places(header.task.pid, case.tag, &case.record.python);
        RawStack { task: header.task, status: ending.status(), frames, python }
    }
}

/// There is no rule for the last frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Missing;

/// The rule of code made at run time. A function that has just called the kernel itself may not
/// have made its frame.
const fn made_code(is_leaf: bool) -> Rule {
    if is_leaf { rules::NONE } else { rules::ASSUMED }
}

/// The addresses alone, where nothing can be said of them.
fn failed(record: &Record<'_>, reason: &str) -> RawStack {
    let places = record.pcs.iter().enumerate().map(|(index, pc)| Place {
        address: *pc,
        is_leaf: index == 0,
        origin: Origin::Unknown,
    });
    RawStack {
        task: record.header.task,
        status: StackStatus::Failed(reason.to_owned()),
        frames: places.collect(),
        python: Vec::new(),
    }
}

//! Stacks as they come in, and what the kernel side is told in turn.

mod check;
mod finish;
mod rule;

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use anyhow::Result;
use gimli::UnwindContext;
use tcptrace_common::memory::Task;
use tcptrace_common::stack::ProcessEntry;
use tcptrace_common::unwind::{Rule, RuleKey};

use super::image::{Images, Look, Who};
use super::interpreter::{Interpreters, Python};
use super::newcomers::Newcomers;
use super::open::Files;
use super::raw::{Origin, Place, RawStack};
use super::reason;
use super::record::{self, Record};
use super::tables::TableCache;
use crate::lifecycle::stack::StackStatus;

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
    interpreters: Interpreters,
    newcomers: Newcomers,
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
    /// Whether the kernel side knew how to walk its Python frames, if it has any.
    knew_python: bool,
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
        let mut updates = Updates::default();
        if let Some(header) = record::announcement(record) {
            self.newcomers.add(header.tgid, header.task);
            return Ok(updates);
        }
        let record = Record::decode(record)?;
        let stack = match self.case(&record, &mut updates) {
            Ok(case) => self.stack(&case, &mut updates),
            Err(reason) => failed(&record, reason),
        };
        if stack.is_provisional {
            updates.forget.push(record.header.id);
        }
        self.keep(record.header.id, stack, &mut updates);
        Ok(updates)
    }

    /// Gets to know a process before it sends anything; `tgid` is its pid in the initial pid
    /// namespace.
    pub fn meet(&mut self, tgid: u32, task: &Task) -> Updates {
        let mut updates = Updates::default();
        let is_known = self.images.has_process(tgid, task);
        let who = Who::now(tgid, task).filter(|_| !is_known);
        if let Some(who) = who
            && let Look::New(tag) = self.images.see(&who, 0)
        {
            self.tell(&who, tag, &mut updates);
        }
        updates
    }

    /// When [`Self::meet_newcomers`] has something to do.
    #[must_use]
    pub fn next_due(&self) -> Option<Instant> {
        self.newcomers.next_due()
    }

    /// Looks at processes whose interpreter was coming up.
    pub fn meet_newcomers(&mut self) -> Updates {
        let mut updates = Updates::default();
        for newcomer in self.newcomers.take_due() {
            let Some(who) = Who::now(newcomer.tgid, &newcomer.task) else { continue };
            match self.images.see(&who, 0) {
                Look::New(tag) | Look::Known(tag) | Look::Changed(tag) => {
                    if self.find_python(&who.task, tag) {
                        updates
                            .processes
                            .push((who.key, Some(self.images.entry(tag, who.program))));
                    } else if self.images.is_undecided(tag) {
                        self.newcomers.put_back(newcomer);
                    }
                }
                Look::Failed(_) => {}
            }
        }
        updates
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
        let moved = self.images.look_around();
        updates.processes.extend(moved.into_iter().map(|(key, entry)| (key, Some(entry))));
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
        self.interpreters.sweep();
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

    /// Finds the image that a record belongs to. A tag in the record is proof that the process had
    /// that image: exec() takes it away, fork() hands it on.
    fn case<'a>(
        &mut self,
        record: &'a Record<'a>,
        updates: &mut Updates,
    ) -> Result<Case<'a>, &'static str> {
        let old = record.header.tag;
        let knew_python = self.images.has(old) && !self.images.is_undecided(old);
        let tag = match self.look(record, updates) {
            // A library that is gone by now may have been there.
            Ok(tag) if self.images.covers(tag, &record.pcs) => tag,
            Ok(_) if self.images.covers(old, &record.pcs) => old,
            Ok(tag) => tag,
            Err(reason::CHANGED) => return Err(reason::CHANGED),
            Err(_) if self.images.has(old) => old,
            // It is gone; a relative that runs the same program has the same image.
            Err(reason) => self.images.of_program(record.header.program).ok_or(reason)?,
        };
        Ok(Case { record, tag, knew_python })
    }

    /// Reads the memory map of the record's process.
    fn look(&mut self, record: &Record<'_>, updates: &mut Updates) -> Result<u32, &'static str> {
        let header = &record.header;
        let (found, result) = match self.images.look(record) {
            Look::New(found) => (found, Ok(found)),
            Look::Known(found) => (found, Ok(found)),
            Look::Changed(found) => (found, Err(reason::CHANGED)),
            Look::Failed(reason) => return Err(reason),
        };
        if found != header.tag {
            self.tell(&Who::of(header), found, updates);
        }
        result
    }

    /// Tells the kernel side what is known of a process, and looks again later where its
    /// interpreter may come up.
    fn tell(&mut self, who: &Who, tag: u32, updates: &mut Updates) {
        self.find_python(&who.task, tag);
        if self.images.is_undecided(tag) {
            self.newcomers.add(who.key, who.task);
        }
        updates.processes.push((who.key, Some(self.images.entry(tag, who.program))));
    }

    /// Looks for an interpreter where that is not decided; whether it was found just now.
    fn find_python(&mut self, task: &Task, tag: u32) -> bool {
        let Some(image) = self.images.get_mut(tag) else { return false };
        if image.python != Python::Undecided {
            return false;
        }
        image.python = self.interpreters.find(task, image.mappings());
        matches!(image.python, Python::Yes(_))
    }
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
        is_provisional: reason == reason::HELD_UP,
    }
}

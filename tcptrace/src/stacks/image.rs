//! Program images: the executable memory of a process, and which processes share one.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tcptrace_common::memory::Task;
use tcptrace_common::stack::{BUDGET, ProcessEntry, StackHeader, end};

use super::identity::{self, Now};
use super::interpreter::Python;
use super::java;
use super::mappings::{self, Backing, Mapping};
use super::open::{Code, Content, Files, Opened};
use super::raw::Origin;
use super::reason;
use super::record::Record;
use crate::errand::{self, HeldUp, What};

/// Processes whose memory maps one sweep reads again.
const LOOKED_AT: usize = 64;
/// Most processes that are known at once: the size of the map `PROCESSES`.
const MAX_PROCESSES: usize = 8192;

/// One layout of executable memory. Rules are compiled for an image, under its tag.
#[derive(Debug)]
pub struct Image {
    mappings: Vec<Mapping>,
    /// Files of the mappings, as far as they were needed and opened; `None` inside: cannot be.
    codes: HashMap<usize, Option<Arc<Code>>>,
    /// Its interpreter.
    pub python: Python,
    /// Whether all code that it makes at run time keeps frame pointers, once that was asked.
    made_frames: Option<bool>,
}

impl Image {
    fn new(mappings: Vec<Mapping>) -> Self {
        Self { mappings, codes: HashMap::new(), python: Python::Undecided, made_frames: None }
    }

    /// Its executable mappings.
    #[must_use]
    pub fn mappings(&self) -> &[Mapping] {
        &self.mappings
    }

    /// The mapping that an address lies in.
    #[must_use]
    pub fn mapping(&self, address: u64) -> Option<&Mapping> {
        self.mappings.get(mappings::find(&self.mappings, address)?)
    }

    /// The file that an address lies in and the offset there. `task` is a process with this image.
    pub fn code(
        &mut self,
        address: u64,
        task: &Task,
        files: &mut Files,
    ) -> Option<(Arc<Code>, u64)> {
        let index = mappings::find(&self.mappings, address)?;
        let mapping = self.mappings.get(index)?;
        let offset = mapping.file_offset(address).filter(|_| mapping.is_file())?;
        if let Some(code) = self.codes.get(&index) {
            return code.clone().map(|code| (code, offset));
        }
        match files.open(task.pid, mapping) {
            Opened::Code(code) => {
                self.codes.insert(index, Some(Arc::clone(&code)));
                Some((code, offset))
            }
            // What cannot be opened because the process has gone may yet be by another with this
            // image.
            Opened::No if identity::is_alive(task.pid, task.start_ns) => {
                self.codes.insert(index, None);
                None
            }
            Opened::No | Opened::Late => None,
        }
    }

    /// What is known of the file that an address lies in; asks for nothing.
    #[must_use]
    pub fn sight(&self, address: u64) -> Sight {
        let index = mappings::find(&self.mappings, address);
        match index.and_then(|index| self.codes.get(&index)) {
            Some(Some(code)) if !matches!(code.content, Content::Unreadable) => Sight::Open,
            Some(_) => Sight::Unreadable,
            None => Sight::Undecided,
        }
    }

    /// What an address lies in.
    pub fn origin(&mut self, address: u64, task: &Task, files: &mut Files) -> Origin {
        match self.mapping(address).map(|mapping| &mapping.backing) {
            None | Some(Backing::Special) => Origin::Unknown,
            Some(Backing::Anonymous) => Origin::Jit,
            Some(Backing::Vdso) => Origin::Vdso,
            Some(Backing::File { .. }) => match self.code(address, task, files) {
                None => self.unopened(address),
                Some((code, _)) if matches!(code.content, Content::Made) => Origin::Jit,
                Some((code, offset)) => Origin::File(Arc::clone(&code.module), offset),
            },
        }
    }

    fn unopened(&self, address: u64) -> Origin {
        let mapping = self.mapping(address);
        match mapping.map(|mapping| (&mapping.backing, mapping.file_offset(address))) {
            Some((Backing::File { path, .. }, Some(offset))) => {
                Origin::Unopened(Arc::clone(path), offset)
            }
            _ => Origin::Unknown,
        }
    }

    /// Whether all code that it makes at run time keeps frame pointers, as far as is known. Java's
    /// does so when it is told to.
    pub fn keeps_made_frames(&mut self, task: &Task) -> bool {
        if !self.has_file("libjvm.so") {
            return true;
        }
        let pid = task.pid;
        let ask =
            || errand::run(pid, What::Arguments, move || java::keeps_frame_pointers(pid)).ok();
        self.made_frames = self.made_frames.or_else(ask);
        self.made_frames.unwrap_or(false)
    }

    /// Whether a file of this name is mapped, such as `libjvm.so`.
    #[must_use]
    pub fn has_file(&self, name: &str) -> bool {
        self.mappings.iter().any(|mapping| {
            matches!(&mapping.backing, Backing::File { path, .. }
                if path.rsplit('/').next() == Some(name))
        })
    }

    /// Whether rules of `self` hold in `later`: no file went away, and none came to where code
    /// was.
    fn goes_on_in(&self, later: &[Mapping]) -> bool {
        self.mappings.iter().filter(|mapping| mapping.is_file()).all(|old| later.contains(old))
            && agree(&self.mappings, later)
    }
}

/// How far a file is known that code lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// It was opened.
    Open,
    /// It cannot be opened, or is no program.
    Unreadable,
    /// It was not opened yet: its process has gone, or its file system does not answer.
    Undecided,
}

/// Whether no address is code of different files in the two.
fn agree(left: &[Mapping], right: &[Mapping]) -> bool {
    left.iter().all(|mapping| {
        let behind = right.partition_point(|other| other.start < mapping.end);
        let first = right.partition_point(|other| other.end <= mapping.start);
        let overlapping = right.get(first..behind).unwrap_or_default();
        overlapping.iter().all(|other| {
            other == mapping || (other.backing == mapping.backing && !mapping.is_file())
        })
    })
}

#[derive(Clone, Copy, Debug)]
struct Process {
    pid: u32,
    start_ns: u64,
    /// As the kernel side calls the program that it runs.
    program: u64,
    tag: u32,
    /// Number of the sweep that looked at it last.
    swept: u64,
}

impl Process {
    fn task(&self) -> Task {
        Task { pid: self.pid, start_ns: self.start_ns, ..Task::default() }
    }
}

/// The processes that are known, and their images.
#[derive(Debug, Default)]
pub struct Images {
    /// By the key of the map `PROCESSES`.
    processes: HashMap<u32, Process>,
    by_tag: HashMap<u32, Image>,
    last_tag: u32,
    sweeps: u64,
}

/// A process at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Who {
    /// Its key in `PROCESSES`.
    pub key: u32,
    /// Its name and start.
    pub task: Task,
    /// The program that it runs, see `tcptrace_common::stack::program_id`; 0: not known.
    pub program: u64,
}

impl Who {
    /// Of a record.
    #[must_use]
    pub fn of(header: &StackHeader) -> Self {
        Self { key: header.tgid, task: header.task, program: header.program }
    }

    /// As it is now; `None`: it is gone.
    #[must_use]
    pub fn now(key: u32, task: &Task) -> Option<Self> {
        let now = Now::read(task.pid).filter(|now| now.started_at(task.start_ns))?;
        Some(Self { key, task: *task, program: now.program()? })
    }
}

/// What reading the memory map of a process came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Look {
    /// It has this image. The kernel side does not know it yet.
    New(u32),
    /// It has this image, as was known.
    Known(u32),
    /// Where code lay that the record may run through, there is now other code.
    Changed(u32),
    /// It could not be read. The reason is for people.
    Failed(&'static str),
}

impl Images {
    /// The image with a tag.
    pub fn get_mut(&mut self, tag: u32) -> Option<&mut Image> {
        self.by_tag.get_mut(&tag)
    }

    /// Whether the process is known, with this tag.
    #[must_use]
    pub fn knows(&self, key: u32, task: &Task, tag: u32) -> bool {
        self.by_tag.contains_key(&tag)
            && self
                .processes
                .get(&key)
                .is_some_and(|process| (process.tag, process.start_ns) == (tag, task.start_ns))
    }

    /// Whether this very process is known.
    #[must_use]
    pub fn has_process(&self, key: u32, task: &Task) -> bool {
        self.processes.get(&key).is_some_and(|process| process.start_ns == task.start_ns)
    }

    /// Whether it is open yet if an image runs Python.
    #[must_use]
    pub fn is_undecided(&self, tag: u32) -> bool {
        self.by_tag.get(&tag).is_some_and(|image| image.python == Python::Undecided)
    }

    /// Whether an image with this tag is known.
    #[must_use]
    pub fn has(&self, tag: u32) -> bool {
        self.by_tag.contains_key(&tag)
    }

    /// What the kernel side is told of a process with this image.
    #[must_use]
    pub fn entry(&self, tag: u32, program: u64) -> ProcessEntry {
        let python = self.by_tag.get(&tag).map(|image| image.python.layout()).unwrap_or_default();
        ProcessEntry { refilled_ns: 0, program, tag, budget: BUDGET, python }
    }

    /// Reads the memory map of a record's process: each time, because nothing tells of a library
    /// that was unloaded, and another may be in its place.
    pub fn look(&mut self, record: &Record<'_>) -> Look {
        match self.see(&Who::of(&record.header), record.header.tag) {
            Look::Changed(new) if !self.is_disputed(record, new) => Look::New(new),
            other => other,
        }
    }

    /// Reads the memory map of a process. `tag` is that by which it was walked, 0: none.
    pub fn see(&mut self, who: &Who, tag: u32) -> Look {
        let is_new = !self.processes.contains_key(&who.key);
        if is_new && self.processes.len() >= MAX_PROCESSES {
            return Look::Failed(reason::TOO_MANY_PROCESSES);
        }
        let mappings = match read(&who.task, who.program) {
            Ok(mappings) => mappings,
            Err(reason) => return Look::Failed(reason),
        };
        self.take(who, tag, mappings)
    }

    /// Whether a record that was walked by one image leads through code that is other code in a
    /// later one. Of a walk that is not finished nobody knows where it will lead.
    fn is_disputed(&self, record: &Record<'_>, later: u32) -> bool {
        let images = (self.by_tag.get(&record.header.tag), self.by_tag.get(&later));
        let (Some(old), Some(new)) = images else { return true };
        record.header.end == end::NO_RULE
            || record.pcs.iter().any(|pc| match (old.mapping(*pc), new.mapping(*pc)) {
                (Some(old), Some(new)) => !old.has_same_code(new, *pc),
                _ => false,
            })
    }

    /// The image of a process that runs this very program: fork() keeps its identity.
    #[must_use]
    pub fn of_program(&self, program: u64) -> Option<u32> {
        let mut known = self.processes.values();
        known.find(|known| program != 0 && known.program == program).map(|known| known.tag)
    }

    /// Whether an image has code at all of these addresses.
    #[must_use]
    pub fn covers(&self, tag: u32, addresses: &[u64]) -> bool {
        let image = self.by_tag.get(&tag);
        image.is_some_and(|image| addresses.iter().all(|at| image.mapping(*at).is_some()))
    }

    fn take(&mut self, who: &Who, tag: u32, mappings: Vec<Mapping>) -> Look {
        let Who { key, ref task, program } = *who;
        // A burst of records can come before the kernel side knows the process.
        let known = self.processes.get(&key).filter(|known| known.start_ns == task.start_ns);
        let was_walked = tag != 0;
        let tag = if was_walked { tag } else { known.map_or(0, |known| known.tag) };
        let old = self.by_tag.get(&tag);
        let is_same = old.is_some_and(|old| old.mappings == mappings);
        let goes_on = old.is_some_and(|old| old.goes_on_in(&mappings));
        let has_changed = was_walked && old.is_some_and(|old| !agree(&old.mappings, &mappings));
        let may_grow = goes_on && self.is_only_user(key, task, tag);
        let new = if is_same {
            tag
        } else if may_grow {
            self.grow(tag, mappings);
            tag
        } else {
            self.share(mappings)
        };
        let process = Process {
            pid: task.pid,
            start_ns: task.start_ns,
            program,
            tag: new,
            swept: self.sweeps,
        };
        self.processes.insert(key, process);
        match (new == tag, has_changed) {
            (true, _) => Look::Known(tag),
            (false, true) => Look::Changed(new),
            (false, false) => Look::New(new),
        }
    }

    fn is_only_user(&self, key: u32, task: &Task, tag: u32) -> bool {
        self.knows(key, task, tag)
            && self.processes.values().filter(|process| process.tag == tag).count() == 1
    }

    /// Takes over mappings that came, and the files that were opened for those that stayed.
    fn grow(&mut self, tag: u32, mappings: Vec<Mapping>) {
        let Some(image) = self.by_tag.get_mut(&tag) else { return };
        let old = std::mem::replace(&mut image.mappings, mappings);
        let codes = std::mem::take(&mut image.codes).into_iter().filter_map(|(index, code)| {
            let same = image.mappings.iter().position(|new| Some(new) == old.get(index))?;
            Some((same, code))
        });
        image.codes = codes.collect();
    }

    /// The tag of an image with these mappings: that of another process, such as a sibling that was
    /// forked and has not run exec(), or a new one.
    fn share(&mut self, mappings: Vec<Mapping>) -> u32 {
        let same = self.by_tag.iter().find(|(_, image)| image.mappings == mappings);
        if let Some((tag, _)) = same {
            return *tag;
        }
        self.last_tag = self.last_tag.checked_add(1).unwrap_or(1);
        self.by_tag.insert(self.last_tag, Image::new(mappings));
        self.last_tag
    }

    /// Looks at some processes again, those first that were not looked at for longest; what the
    /// kernel side is to be told of those that put other code where some was. Until then a stack
    /// through that code, with the same return addresses all the way, is taken for an earlier one.
    pub fn look_around(&mut self) -> Vec<(u32, ProcessEntry)> {
        self.sweeps += 1;
        let mut order: Vec<_> =
            self.processes.iter().map(|(key, process)| (process.swept, *key)).collect();
        order.sort_unstable();
        let keys = order.into_iter().take(LOOKED_AT).map(|(_, key)| key);
        keys.collect::<Vec<_>>().into_iter().filter_map(|key| self.look_at(key)).collect()
    }

    fn look_at(&mut self, key: u32) -> Option<(u32, ProcessEntry)> {
        let process = self.processes.get_mut(&key)?;
        process.swept = self.sweeps;
        let (known, task) = (*process, process.task());
        if known.program == 0 {
            return None;
        }
        let mappings = read(&task, known.program).ok()?;
        if self.by_tag.get(&known.tag).is_none_or(|image| image.goes_on_in(&mappings)) {
            return None;
        }
        let program = known.program;
        let look = self.take(&Who { key, task, program }, known.tag, mappings);
        let (Look::New(tag) | Look::Known(tag) | Look::Changed(tag)) = look else { return None };
        Some((key, self.entry(tag, program)))
    }

    /// Forgets processes that are gone, and images that no process has; gives their keys and tags.
    pub fn sweep(&mut self) -> (Vec<u32>, Vec<u32>) {
        let gone = self
            .processes
            .extract_if(|_, process| !identity::is_alive(process.pid, process.start_ns));
        let gone = gone.map(|(key, _)| key).collect();
        let used: HashSet<u32> = self.processes.values().map(|process| process.tag).collect();
        let unused = self.by_tag.extract_if(|tag, _| !used.contains(tag));
        (gone, unused.map(|(tag, _)| tag).collect())
    }
}

/// The executable mappings of exactly this process, running the program that it ran.
fn read(task: &Task, program: u64) -> Result<Vec<Mapping>, &'static str> {
    let now = || Now::read(task.pid).filter(|now| now.started_at(task.start_ns));
    now().ok_or(reason::GONE)?;
    let pid = task.pid;
    let mappings = errand::run(pid, What::Map, move || mappings::read(pid));
    let mappings = mappings.map_err(|HeldUp| reason::HELD_UP)?.ok_or(reason::GONE)?;
    let after = now().ok_or(reason::GONE)?;
    if after.runs(program, task) {
        return Ok(mappings);
    }
    Err(if after.program().is_some() { reason::OTHER_PROGRAM } else { reason::HIDDEN })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn images() -> Images {
        Images::default()
    }

    fn task(pid: u32) -> Task {
        Task { pid, start_ns: u64::from(pid), ..Task::default() }
    }

    fn who(key: u32, pid: u32) -> Who {
        Who { key, task: task(pid), program: 0 }
    }

    const BASE: &str = "1000-2000 r-xp 00001000 08:01 5 /bin/a\n";

    fn maps(more: &str) -> Vec<Mapping> {
        mappings::parse(format!("{BASE}{more}").as_bytes())
    }

    #[test]
    fn forked_children_share_and_others_do_not() {
        let mut images = images();
        assert_eq!(images.take(&who(1, 1), 0, maps("")), Look::New(1));
        assert_eq!(images.take(&who(2, 2), 1, maps("")), Look::Known(1));
        let other = "3000-4000 r-xp 00000000 08:01 6 /lib/b\n";
        assert_eq!(images.take(&who(3, 3), 1, maps(other)), Look::New(2));
        assert_eq!(images.take(&who(4, 4), 0, maps(other)), Look::New(2));
    }

    #[test]
    fn a_library_that_comes_keeps_the_tag_of_a_single_process() {
        let mut images = images();
        let library = maps("3000-4000 r-xp 00000000 08:01 6 /lib/b\n");
        images.take(&who(1, 1), 0, maps(""));
        assert_eq!(images.take(&who(1, 1), 1, library.clone()), Look::Known(1));
        images.take(&who(2, 2), 1, library);
        let two = maps("3000-4000 r-xp 00000000 08:01 6 /lib/b\n5000-6000 r-xp 0 08:01 7 /lib/c\n");
        assert_eq!(images.take(&who(1, 1), 1, two), Look::New(2), "the other may not have it");
    }

    #[test]
    fn code_that_goes_or_is_replaced_gets_a_new_tag() {
        let mut images = images();
        let before = maps("3000-4000 r-xp 00000000 08:01 6 /lib/b\n");
        images.take(&who(1, 1), 0, before);
        assert_eq!(images.take(&who(1, 1), 1, maps("")), Look::New(2), "gone");
        let replaced = maps("3000-4000 r-xp 00000000 08:01 9 /lib/c\n");
        images.take(&who(2, 2), 0, maps("3000-4000 r-xp 00000000 08:01 6 /lib/b\n"));
        assert_eq!(images.take(&who(2, 2), 1, replaced), Look::Changed(3), "replaced");
        let jit = maps("7000-8000 r-xp 00000000 00:00 0\n");
        images.take(&who(3, 3), 0, jit);
        let file = maps("7000-7800 r-xp 00000000 08:01 9 /lib/c\n");
        assert!(matches!(images.take(&who(3, 3), 4, file), Look::Changed(_)), "was made code");
    }

    #[test]
    fn made_code_may_come_grow_and_go() {
        let mut images = images();
        images.take(&who(1, 1), 0, maps("7000-8000 rwxp 00000000 00:00 0\n"));
        let grown = maps("7000-9000 rwxp 00000000 00:00 0\n");
        assert_eq!(images.take(&who(1, 1), 1, grown), Look::Known(1));
        assert_eq!(images.take(&who(1, 1), 1, maps("")), Look::Known(1));
    }

    #[test]
    fn a_burst_of_records_makes_one_image() {
        let mut images = images();
        images.take(&who(1, 1), 0, maps(""));
        let grown = maps("7000-8000 rwxp 00000000 00:00 0\n");
        assert_eq!(images.take(&who(1, 1), 0, grown), Look::Known(1));
        let other = mappings::parse(b"1000-2000 r-xp 00001000 08:01 9 /bin/z\n");
        assert_eq!(images.take(&who(1, 1), 0, other), Look::New(2), "after exec()");
    }

    #[test]
    fn processes_that_are_gone_are_swept_with_their_images() {
        let mut images = images();
        images.take(&who(7, 4_194_303), 0, maps(""));
        assert_eq!(images.sweep(), (vec![7], vec![1]));
        assert_eq!(images.sweep(), (vec![], vec![]));
    }

    #[test]
    fn a_process_that_never_was_cannot_be_read() {
        assert_eq!(read(&task(4_194_303), 0), Err(reason::GONE));
    }
}

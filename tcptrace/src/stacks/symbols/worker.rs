//! A thread that reads symbols. Binaries come from strangers: one whose debug link leads to a pipe
//! blocks whoever opens it, and one with absurd tables takes its time or makes the reader panic.
//! So whoever asks waits for a limited time, and a thread that is stuck costs names alone.

use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use blazesym::symbolize::source::{Elf, Source};
use blazesym::symbolize::{CodeInfo, Input, Sym, Symbolizer};

use super::steady::steady;
use crate::lifecycle::text;
use crate::stacks::file_id::FileId;

/// Files that are kept open with what was read of them.
const FILES_MAX: usize = 64;
/// Most bytes of copies that are kept.
const COPIES_MAX: u64 = 256 << 20;

/// A place whose names are wanted.
struct Request {
    id: FileId,
    file: File,
    offset: u64,
}

/// A function at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its name, demangled.
    pub function: String,
    /// Source file.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
}

/// What came of a request.
pub enum Answer {
    /// The functions, innermost first; none where the file does not tell.
    Names(Vec<Named>),
    /// It could not be asked.
    Nothing,
    /// The thread does not answer, or has ended.
    Stuck,
}

/// The thread.
#[derive(Debug)]
pub struct Worker {
    requests: Sender<Request>,
    answers: Receiver<Vec<Named>>,
}

impl Worker {
    /// Starts one. It ends when this is dropped.
    pub fn start() -> Self {
        let (requests, asked) = channel::<Request>();
        let (answer, answers) = channel();
        let work = move || {
            let mut reader = Reader::new();
            for request in asked {
                if answer.send(reader.names(request)).is_err() {
                    return;
                }
            }
        };
        // Without a thread both channels are closed, which reads as stuck.
        let _ = thread::Builder::new().name("symbols".to_owned()).spawn(work);
        Self { requests, answers }
    }

    /// The functions at `offset` of `file`, if they are found within `patience`.
    pub fn names(&self, id: FileId, file: &File, offset: u64, patience: Duration) -> Answer {
        let Ok(file) = file.try_clone() else { return Answer::Nothing };
        if self.requests.send(Request { id, file, offset }).is_err() {
            return Answer::Stuck;
        }
        self.answers.recv_timeout(patience).map_or(Answer::Stuck, Answer::Names)
    }
}

/// What the thread works with.
struct Reader {
    symbolizer: Symbolizer,
    /// `None`: cannot be read safely.
    files: HashMap<FileId, Option<File>>,
    /// Bytes of those that are copies.
    copied: u64,
}

impl Reader {
    fn new() -> Self {
        Self { symbolizer: Symbolizer::new(), files: HashMap::new(), copied: 0 }
    }

    fn names(&mut self, request: Request) -> Vec<Named> {
        if !self.files.contains_key(&request.id) {
            self.open(request.id, request.file);
        }
        // One descriptor for each file: what was read is remembered by its path.
        let Some(Some(file)) = self.files.get(&request.id) else { return Vec::new() };
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let mut elf = Elf::new(path);
        self.names_in(&elf, request.offset).unwrap_or_else(|| {
            // Debug information that cannot be read does not cost the names of symbols.
            elf.debug_syms = false;
            self.names_in(&elf, request.offset).unwrap_or_default()
        })
    }

    fn open(&mut self, id: FileId, file: File) {
        if self.files.len() >= FILES_MAX || self.copied >= COPIES_MAX {
            *self = Self::new();
        }
        let steady = steady(file);
        self.copied += steady.as_ref().map_or(0, |(_, copied)| *copied);
        self.files.insert(id, steady.map(|(file, _)| file));
    }

    /// `None`: the file could not be understood.
    fn names_in(&self, elf: &Elf, offset: u64) -> Option<Vec<Named>> {
        let source = Source::Elf(elf.clone());
        let found = self.symbolizer.symbolize_single(&source, Input::FileOffset(offset)).ok()?;
        Some(found.into_sym().map(|symbol| innermost_first(&symbol)).unwrap_or_default())
    }
}

/// A symbol, before it what was inlined there; blazesym lists that from the outside in.
fn innermost_first(symbol: &Sym<'_>) -> Vec<Named> {
    let inlined = symbol.inlined.iter().rev();
    let inlined = inlined.map(|own| named(&own.name, own.code_info.as_ref()));
    inlined.chain([named(&symbol.name, symbol.code_info.as_deref())]).collect()
}

fn named(name: &str, code: Option<&CodeInfo<'_>>) -> Named {
    Named {
        function: name.to_owned(),
        file: code.map(|code| text::from_bytes(code.to_path().as_os_str().as_bytes())),
        line: code.and_then(|code| code.line).filter(|line| *line > 0),
    }
}

//! Python frames: finding CPython in a process, and naming what the kernel side saw there.
//!
//! The kernel side walks frames by a [`PythonLayout`] and sends the addresses of code objects and
//! instructions. The names are read from the process later; code that it has freed by then, or a
//! process that is gone, has none.
//!
//! What is not walked, and says so: CPython before 3.11, free-threaded builds, versions that are
//! not known yet, and C libraries other than glibc, whose thread-specific data lies elsewhere. Of a
//! thread that switches between greenlets the running one is walked. In 3.11 a subinterpreter
//! that a thread of another interpreter has entered is not seen; the frames that led to it are.

pub mod code;
pub mod discover;
pub mod elf;
pub mod layout;
pub mod lines;

use std::collections::HashMap;
use std::io;

use tcptrace_common::stack::{PythonFrame, PythonLayout};

use self::code::{CodeReader, Identity};
use self::discover::{Found, LoadedFile, Unfit};
use super::memory::Memory;
use super::raw::PythonPlace;

/// Most places that are remembered of one process.
const MAX_KNOWN: usize = 1024;

/// What stands for the function and the file of a frame whose code object could not be read.
pub const UNKNOWN: &str = "?";

/// A process that runs CPython. It belongs to one program image: look again after exec.
#[derive(Debug)]
pub struct PythonProcess {
    memory: Memory,
    found: Found,
    known: HashMap<(Identity, u64), PythonPlace>,
}

/// Frames with names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// As many as were asked for. Where nothing could be read, the place keeps its position in
    /// the stack as [`UNKNOWN`].
    pub places: Vec<PythonPlace>,
    /// How many are unknown.
    pub unknown: usize,
}

impl PythonProcess {
    /// Looks for CPython in a process that has mapped `files`. `Ok(None)`: there is none. `Err`:
    /// there is, but its frames cannot be walked, and why; shortly after a start this can change.
    pub fn discover(pid: u32, files: &[LoadedFile]) -> Result<Option<Self>, Unfit> {
        let memory = Memory::open(pid);
        let memory = memory.map_err(|error| Unfit::NotYet(format!("its memory: {error}")))?;
        let found = discover::find(&memory, files)?;
        Ok(found.map(|found| Self { memory, found, known: HashMap::new() }))
    }

    /// The same for a child that this process has forked and that has not called exec.
    pub fn forked(&self, pid: u32) -> io::Result<Self> {
        Ok(Self { memory: Memory::open(pid)?, found: self.found, known: HashMap::new() })
    }

    /// How to walk its frames.
    #[must_use]
    pub const fn layout(&self) -> PythonLayout {
        self.found.offsets.frames
    }

    /// Version, for people.
    #[must_use]
    pub fn version(&self) -> String {
        self.found.version.to_string()
    }

    /// Names frames. Those of functions that still run are right; code that was freed since may be
    /// unknown or, where new code lies at the same place, be named as that.
    pub fn name(&mut self, frames: &[PythonFrame]) -> Named {
        let places: Vec<_> = frames.iter().map(|frame| self.place(frame)).collect();
        let unknown = places.iter().filter(|place| place.is_none()).count();
        let places = places.into_iter().map(|place| place.unwrap_or_else(unknown_place)).collect();
        Named { places, unknown }
    }

    fn place(&mut self, frame: &PythonFrame) -> Option<PythonPlace> {
        let reader = CodeReader { memory: &self.memory, offsets: &self.found.offsets };
        let identity = reader.identify(frame.code)?;
        let key = (identity, frame.instruction);
        if let Some(place) = self.known.get(&key) {
            return Some(place.clone());
        }
        let place = reader.place(&identity, frame.instruction)?;
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert(key, place.clone());
        Some(place)
    }
}

fn unknown_place() -> PythonPlace {
    PythonPlace { function: UNKNOWN.to_owned(), file: UNKNOWN.to_owned(), line: None }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk;

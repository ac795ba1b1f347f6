//! The interpreters that processes run: how their frames are walked, and what these are called.

use std::collections::HashMap;
use std::path::PathBuf;

use tcptrace_common::memory::Task;
use tcptrace_common::stack::{PythonFrame, PythonLayout};

use super::identity;
use super::mappings::{Backing, Mapping};
use super::python::PythonProcess;
use super::python::discover::{LoadedFile, Unfit};
use super::raw::PythonPlace;
use crate::errand::{self, HeldUp, What};

/// Most processes whose interpreters are known at once; each costs a descriptor.
const MAX_KNOWN: usize = 512;

/// What is known of a program image's interpreter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Python {
    /// Nobody has looked yet, or the interpreter had not come up when somebody did.
    #[default]
    Undecided,
    /// There is none.
    No,
    /// There is one that cannot be walked. The reason is for people.
    Unfit(String),
    /// CPython.
    Yes(PythonLayout),
}

impl Python {
    /// For the kernel side.
    #[must_use]
    pub fn layout(&self) -> PythonLayout {
        match self {
            Self::Yes(layout) => *layout,
            Self::Undecided | Self::No | Self::Unfit(_) => PythonLayout::default(),
        }
    }
}

/// CPython processes, by pid and start.
#[derive(Debug, Default)]
pub struct Interpreters {
    known: HashMap<(u32, u64), PythonProcess>,
}

impl Interpreters {
    /// Looks for CPython in a process that has these mappings. A process that is starting up may
    /// have it later.
    pub fn find(&mut self, task: &Task, mappings: &[Mapping]) -> Python {
        let (pid, files) = (task.pid, files(task.pid, mappings));
        let found =
            errand::run(pid, What::Interpreter, move || PythonProcess::discover(pid, &files));
        let late = |HeldUp| Err(Unfit::NotYet("its files or memory take too long".to_owned()));
        match found.unwrap_or_else(late) {
            Ok(Some(process)) => {
                let layout = process.layout();
                self.keep(task, process);
                Python::Yes(layout)
            }
            Ok(None) => Python::No,
            Err(Unfit::Never(reason)) => Python::Unfit(reason),
            Err(Unfit::NotYet(reason)) => {
                log::debug!("Python in process {}: {reason}", task.pid);
                Python::Undecided
            }
        }
    }

    /// The names of Python frames, read from the process while it is there.
    pub fn places(
        &mut self,
        task: &Task,
        mappings: &[Mapping],
        frames: &[PythonFrame],
    ) -> Vec<PythonPlace> {
        let key = (task.pid, task.start_ns);
        if !frames.is_empty() && !self.known.contains_key(&key) {
            self.find(task, mappings);
        }
        let Some(mut process) = self.known.remove(&key) else { return Vec::new() };
        let frames = frames.to_vec();
        let named = errand::run(task.pid, What::Interpreter, move || {
            let places = process.name(&frames).places;
            (process, places)
        });
        let Ok((process, places)) = named else { return Vec::new() };
        self.known.insert(key, process);
        places
    }

    /// Forgets processes that are gone.
    pub fn sweep(&mut self) {
        self.known.retain(|(pid, start_ns), _| identity::is_alive(*pid, *start_ns));
    }

    fn keep(&mut self, task: &Task, process: PythonProcess) {
        if self.known.len() >= MAX_KNOWN {
            self.known.clear();
        }
        self.known.insert((task.pid, task.start_ns), process);
    }
}

fn files(pid: u32, mappings: &[Mapping]) -> Vec<LoadedFile> {
    let file = |mapping: &Mapping| match &mapping.backing {
        Backing::File { path, .. } => Some(LoadedFile {
            name: path.to_string(),
            path: PathBuf::from(format!(
                "/proc/{pid}/map_files/{:x}-{:x}",
                mapping.start, mapping.end
            )),
            start: mapping.start,
            offset: mapping.offset,
        }),
        _ => None,
    };
    mappings.iter().filter_map(file).collect()
}

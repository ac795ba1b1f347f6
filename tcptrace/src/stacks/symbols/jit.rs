//! Names of code made at run time, from the perf maps of processes.

use std::collections::HashMap;

use tcptrace_common::memory::Task;

use crate::errand::{self, What};
use crate::lifecycle::text;
use crate::stacks::file_id::FileId;
use crate::stacks::perfmap::{JitName, MapFile, PerfMap, jit_name};

/// Processes whose maps are kept; each may be as large as its file.
const PROCESSES_MAX: usize = 8;

/// The maps of processes.
#[derive(Debug, Default)]
pub struct Maps {
    known: HashMap<(u32, u64), (FileId, PerfMap)>,
}

impl Maps {
    /// What is at an address of a process. `None`: it has no map, or the map does not tell.
    pub fn find(&self, task: &Task, address: u64) -> Option<JitName> {
        let (_, map) = self.known.get(&(task.pid, task.start_ns))?;
        let name = map.find(address)?;
        Some(jit_name(&text::from_bytes(name)))
    }

    /// Reads the map again where it has changed: a JIT goes on writing to it. Of a process that has
    /// gone the last one stays.
    pub fn refresh(&mut self, task: &Task) {
        let process = (task.pid, task.start_ns);
        let (task, known) = (*task, self.known.get(&process).map(|(known, _)| *known));
        let Ok(Some((id, text))) = errand::run(task.pid, What::PerfMap, move || read(&task, known))
        else {
            return;
        };
        if self.known.len() >= PROCESSES_MAX && !self.known.contains_key(&process) {
            self.known.clear();
        }
        self.known.insert(process, (id, PerfMap::parse(text)));
    }
}

/// The map of a process where it is another than that which is known, and which one it is.
fn read(task: &Task, known: Option<FileId>) -> Option<(FileId, Vec<u8>)> {
    let file = MapFile::of(task).filter(|file| Some(file.id) != known)?;
    Some((file.id, file.read()))
}

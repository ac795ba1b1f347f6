//! Names of machine code, remembered.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::worker::{Answer, Named, Worker};
use crate::lifecycle::stack::Frame;
use crate::stacks::file_id::FileId;
use crate::stacks::module::Module;

/// Patience by default; large debug information takes a second.
const PATIENCE: Duration = Duration::from_secs(5);
/// Places whose names are kept.
const PLACES_MAX: usize = 1 << 14;
/// Files that are kept for having cost too much.
const REFUSED_MAX: usize = 1 << 10;

/// Finds the functions at places in files.
#[derive(Debug)]
pub struct Natives {
    /// Longest wait for the names at one place.
    pub patience: Duration,
    known: HashMap<(FileId, u64), Vec<Named>>,
    refused: HashSet<FileId>,
    worker: Option<Worker>,
}

impl Default for Natives {
    fn default() -> Self {
        Self { patience: PATIENCE, known: HashMap::new(), refused: HashSet::new(), worker: None }
    }
}

impl Natives {
    /// The functions at offset `call` of a file, innermost first, each made of `plain`. Where none
    /// is known, `plain` alone.
    pub fn frames(&mut self, module: &Module, call: u64, plain: &Frame) -> Vec<Frame> {
        let names = self.names(module, call);
        let Some((outer, inlined)) = names.split_last() else {
            return vec![plain.clone()];
        };
        let inlined = inlined.iter().map(|name| Frame { inlined: true, ..frame(name, plain) });
        inlined.chain([frame(outer, plain)]).collect()
    }

    fn names(&mut self, module: &Module, call: u64) -> Vec<Named> {
        let key = (module.id, call);
        if let Some(names) = self.known.get(&key) {
            return names.clone();
        }
        let names = self.ask(module, call);
        if self.known.len() >= PLACES_MAX {
            self.known.clear();
        }
        self.known.insert(key, names.clone());
        names
    }

    /// Asks the worker; where it does not answer, it is left to itself, and this file is not asked
    /// about again.
    fn ask(&mut self, module: &Module, call: u64) -> Vec<Named> {
        let id = module.id;
        if self.refused.contains(&id) {
            return Vec::new();
        }
        let worker = self.worker.get_or_insert_with(Worker::start);
        match worker.names(id, &module.file, call, self.patience) {
            Answer::Names(names) => names,
            Answer::Nothing => Vec::new(),
            Answer::Stuck => {
                self.worker = None;
                if self.refused.len() >= REFUSED_MAX {
                    self.refused.clear();
                }
                self.refused.insert(id);
                Vec::new()
            }
        }
    }
}

fn frame(name: &Named, plain: &Frame) -> Frame {
    Frame {
        function: Some(name.function.clone()),
        file: name.file.clone(),
        line: name.line,
        ..plain.clone()
    }
}

//! What makes a look whole, as JSON; and the file's end.

use std::collections::HashMap;
use std::sync::Arc;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::rows::Decoded;
use crate::lifecycle::details::Details;
use crate::lifecycle::leak::Question;
use crate::lifecycle::look::Look;
use crate::lifecycle::namespaces::Namespaces;
use crate::lifecycle::report::Degradation;
use crate::lifecycle::stack::Stack;

/// A look but for its rows and names. Fields are only ever added, each with a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookHead {
    started_ns: u64,
    now_ns: u64,
    wall_ns: u64,
    /// How long the trace had run when the rows were read.
    traced_ns: u64,
    wall_offset_ns: u64,
    sees_all_processes: bool,
    events: u64,
    lost: Vec<(String, u64)>,
    degradations: Vec<(String, String)>,
    namespaces_read: Vec<u32>,
    namespaces_known: Vec<u32>,
    /// Ids of the stacks that it refers to; those from before that are not here are forgotten.
    pub stacks: Vec<u64>,
}

impl LookHead {
    /// Of a look that refers to these stacks.
    #[must_use]
    pub fn new(look: &Look, stacks: Vec<u64>) -> Self {
        let namespaces = &look.rows.namespaces;
        let text = |lack: &Degradation| (lack.token.clone().into_owned(), lack.sentence.clone());
        Self {
            started_ns: look.started_ns,
            now_ns: look.now_ns,
            wall_ns: look.wall_ns,
            traced_ns: look.question.traced_ns,
            wall_offset_ns: look.question.wall_offset_ns,
            sees_all_processes: look.question.sees_all_processes,
            events: look.events,
            lost: look.lost.iter().map(|(token, n)| (token.clone().into_owned(), *n)).collect(),
            degradations: look.degradations.iter().map(text).collect(),
            namespaces_read: sorted(namespaces.read()),
            namespaces_known: sorted(namespaces.known()),
            stacks,
        }
    }

    /// The look, with its rows.
    #[must_use]
    pub fn into_look(self, decoded: Decoded) -> Look {
        let lack =
            |(token, sentence): (String, String)| Degradation { token: token.into(), sentence };
        let mut rows = decoded.rows;
        rows.namespaces = Namespaces::of(self.namespaces_read, self.namespaces_known);
        Look {
            rows,
            history: decoded.seen.into_iter().collect(),
            question: Question {
                min_age_ns: 0,
                traced_ns: self.traced_ns,
                wall_offset_ns: self.wall_offset_ns,
                sees_all_processes: self.sees_all_processes,
            },
            started_ns: self.started_ns,
            now_ns: self.now_ns,
            wall_ns: self.wall_ns,
            events: self.events,
            lost: self.lost.into_iter().map(|(token, count)| (token.into(), count)).collect(),
            degradations: self.degradations.into_iter().map(lack).collect(),
        }
    }

    /// Fails where time goes backwards.
    ///
    /// # Errors
    ///
    /// The clock of the look is behind the one before, which was at `before_ns`.
    pub fn check_time(&self, before_ns: u64) -> Result<()> {
        ensure!(self.started_ns <= self.now_ns && before_ns <= self.now_ns, "its clock runs back");
        Ok(())
    }
}

fn sorted(numbers: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

/// A look as it was recorded, with the names for what it shows.
#[derive(Clone, Debug, Default)]
pub struct RecordedLook {
    /// The look.
    pub look: Look,
    /// Processes, by id and start on the boot clock, ns.
    pub processes: HashMap<(u32, u64), Details>,
    /// Stacks, by id.
    pub stacks: HashMap<u64, Arc<Stack>>,
}

/// The last frame of a recording that was ended properly: what there is in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Records.
    pub events: u64,
    /// Looks.
    pub looks: u64,
}

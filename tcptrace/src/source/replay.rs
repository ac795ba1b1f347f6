//! A recording as a source of looks.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;

use anyhow::Result;

use super::Source;
use super::recording::{Item, Reader};
use crate::lifecycle::details::Details;
use crate::lifecycle::event::Transition;
use crate::lifecycle::look::Sight;
use crate::lifecycle::names::{fill_in, fill_in_stacks};
use crate::lifecycle::report::{Degradation, Leak};
use crate::lifecycle::stack::{Stack, StackStatus};

/// Which looks of a recording are wanted, and what is asked at each.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// Least age of a leak, ns.
    pub min_age_ns: u64,
    /// Network namespaces that the user wants to see; empty: all.
    pub netns: Vec<u32>,
    /// Least time from one look to the next, ns; 0: every look.
    pub interval_ns: u64,
    /// How long after its beginning the recording is over, ns. `None`: at its end.
    pub duration_ns: Option<u64>,
}

/// A recording as a source of looks.
#[derive(Debug)]
pub struct Replay<R> {
    reader: Reader<R>,
    ask: Ask,
    /// When the next look is due, ns, monotonic clock.
    due_ns: u64,
    /// What is lacking in the recording.
    lacks: Vec<Degradation>,
    processes: HashMap<(u32, u64), Details>,
    stacks: HashMap<u64, Arc<Stack>>,
}

impl<R: Read> Replay<R> {
    /// From a recording that was not read from yet. `lacks` are degradations of the recording
    /// itself; those of its host are in it.
    #[must_use]
    pub fn new(reader: Reader<R>, ask: Ask, lacks: Vec<Degradation>) -> Self {
        let (processes, stacks) = (HashMap::new(), HashMap::new());
        Self { reader, ask, due_ns: 0, lacks, processes, stacks }
    }

    /// Looks are never quite in time: half of the time between two is allowed for.
    fn slack_ns(&self) -> u64 {
        self.reader.header.interval_ns / 2
    }

    fn is_due(&mut self, now_ns: u64) -> bool {
        if now_ns.saturating_add(self.slack_ns()) < self.due_ns {
            return false;
        }
        let due_ns = if self.due_ns == 0 { now_ns } else { self.due_ns };
        self.due_ns = due_ns.saturating_add(self.ask.interval_ns);
        true
    }

    fn is_over(&self, traced_ns: u64) -> bool {
        let duration = self.ask.duration_ns;
        duration.is_some_and(|duration| traced_ns > duration.saturating_add(self.slack_ns()))
    }
}

impl<R: Read> Source for Replay<R> {
    fn look(&mut self, each: &mut dyn FnMut(&Transition)) -> Result<Option<Sight>> {
        while let Some(item) = self.reader.next_item()? {
            let recorded = match item {
                Item::Records(records) => {
                    for record in records {
                        each(&record.try_into()?);
                    }
                    continue;
                }
                Item::Look(recorded) => *recorded,
                // No leak is found by these.
                Item::Counted(_) | Item::Census { .. } => continue,
            };
            let mut look = recorded.look;
            if self.is_over(look.now_ns - look.started_ns) {
                return Ok(None);
            }
            if !self.is_due(look.now_ns) {
                continue;
            }
            (self.processes, self.stacks) = (recorded.processes, recorded.stacks);
            look.keep_namespaces(&self.ask.netns);
            look.degradations.extend_from_slice(&self.lacks);
            let findings = look.find(self.ask.min_age_ns);
            return Ok(Some(Sight { look, findings }));
        }
        Ok(None)
    }

    fn name_processes(&mut self, leaks: &mut [Leak]) {
        let processes = &self.processes;
        let details = |identity| processes.get(&identity).cloned().unwrap_or_default();
        fill_in(leaks, &mut |pid, start_ns| details((pid, start_ns)));
    }

    fn name_stacks(&mut self, leaks: &mut [Leak]) {
        let stacks = &self.stacks;
        fill_in_stacks(leaks, &mut |id| {
            stacks.get(&id).cloned().unwrap_or_else(|| {
                let status = StackStatus::Failed("it is not in the recording".to_owned());
                Arc::new(Stack { id, status, ..Stack::default() })
            })
        });
    }
}

//! From a record to a stack.

use tcptrace_common::stack::{end, stack_flag};
use tcptrace_common::unwind::{RuleKey, cfa};

use super::{Case, Stacks, Updates};
use crate::lifecycle::stack::StackStatus;
use crate::stacks::image::Sight;
use crate::stacks::interpreter::Python;
use crate::stacks::mappings::Backing;
use crate::stacks::raw::{Origin, Place, RawStack};
use crate::stacks::reason::{self, Ending};
use crate::stacks::walk::{self, Stop, Walked};

/// There is no rule for the last frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Missing;

impl Stacks {
    pub(super) fn stack(&mut self, case: &Case<'_>, updates: &mut Updates) -> RawStack {
        let mut frames = self.walked(case, updates);
        let ending = self.finish(case, &mut frames, updates);
        let ending = ending.unwrap_or_else(|Missing| self.no_rule(case, &mut frames));
        let ending = self.checked(case, &mut frames, ending, updates);
        self.placed(case, &frames, &ending)
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

    /// Walks on where the kernel side could not.
    fn finish(
        &mut self,
        case: &Case<'_>,
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

    /// Why there is no rule for the last frame. One that lies in no code is no frame at all.
    pub(super) fn no_rule(&mut self, case: &Case<'_>, frames: &mut Vec<Walked>) -> Ending {
        let Some(last) = frames.last().copied() else { return Ending::Unreadable };
        let Some(image) = self.images.get_mut(case.tag) else { return Ending::Unreadable };
        let backing = image.mapping(last.pc).map(|mapping| mapping.backing.clone());
        let task = &case.record.header.task;
        let is_jit = matches!(image.origin(last.pc, task, &mut self.files), Origin::Jit);
        match backing {
            _ if is_jit => Ending::Jit { is_java: image.has_file("libjvm.so") },
            Some(Backing::File { path, .. }) => {
                let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                match image.sight(last.pc) {
                    Sight::Open => Ending::NoInfo(name),
                    Sight::Unreadable => Ending::NoFile(name),
                    Sight::Undecided => Ending::LateFile(name),
                }
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
        let image = self.images.get_mut(case.tag);
        let mappings = image.as_ref().map_or(&[][..], |image| image.mappings());
        let python = self.interpreters.places(&header.task, mappings, &case.record.python);
        let python_cut = match image.map(|image| &image.python) {
            Some(Python::Unfit(reason)) => Some(reason.as_str()),
            Some(Python::Yes(_)) if !case.knew_python => Some(reason::NO_PYTHON),
            _ if header.flags & stack_flag::PYTHON_CUT != 0 => Some(reason::PYTHON_CUT),
            _ => None,
        };
        let status = match (ending.status(), python_cut) {
            (StackStatus::Ok, Some(reason)) => StackStatus::Truncated(reason.to_owned()),
            (status, _) => status,
        };
        let is_provisional = matches!(ending, Ending::LateFile(_));
        RawStack { task: header.task, status, frames, python, is_provisional }
    }
}

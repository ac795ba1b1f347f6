//! Where looks at the kernel come from: the kernel that runs here, or a recording.

pub mod recording;
pub mod replay;

use anyhow::Result;

use crate::lifecycle::event::Transition;
use crate::lifecycle::look::Sight;
use crate::lifecycle::report::Leak;

/// A source of looks, and of the names for what they show.
pub trait Source {
    /// The next look, judged; `None`: there are no more. `each` gets each transition that
    /// happened until then, in order.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer, or the recording is damaged.
    fn look(&mut self, each: &mut dyn FnMut(&Transition)) -> Result<Option<Sight>>;

    /// Fills in the names of processes in leaks of the latest look.
    fn name_processes(&mut self, leaks: &mut [Leak]);

    /// Fills in the stacks of the same.
    fn name_stacks(&mut self, leaks: &mut [Leak]);
}

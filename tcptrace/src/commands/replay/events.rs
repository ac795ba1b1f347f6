//! The events of a recording, for commands that are about what happened.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Result, anyhow, bail};

use crate::commands::notices::Notices;
use crate::lifecycle::event::{Event, Transition};
use crate::lifecycle::filter::Filter;
use crate::lifecycle::report::Degradation;
use crate::lifecycle::socket::State;
use crate::source::recording::{Events, file};

use super::cut;

/// A recording that is read from its beginning.
pub struct Recorded {
    /// Its events.
    pub events: Events<BufReader<File>>,
    /// What it lacks; that was said.
    pub lacks: Vec<Degradation>,
    /// Its name.
    shown: String,
    /// Moment after which nothing is wanted, ns, monotonic clock of the recorded host.
    end_ns: u64,
}

impl Recorded {
    /// Opens one, of which nothing is wanted after `duration_ns`, if that is given. `opened` is
    /// called when its file is open and nothing was read yet.
    ///
    /// # Errors
    ///
    /// One sentence: it cannot be read.
    pub fn open(
        path: &Path,
        duration_ns: Option<u64>,
        opened: impl FnOnce() -> Result<()>,
    ) -> Result<Self> {
        let (reader, soundness) = file::open(path, opened)?;
        let lacks: Vec<Degradation> = cut(soundness.state).into_iter().collect();
        let mut notices = Notices::default();
        notices.add_all(&lacks);
        notices.say();
        let began = reader.header.monotonic_ns;
        let end_ns = duration_ns.map_or(u64::MAX, |duration| began.saturating_add(duration));
        Ok(Self { events: Events::new(reader), lacks, shown: path.display().to_string(), end_ns })
    }

    /// When it began, ns, monotonic clock of the recorded host.
    #[must_use]
    pub fn began_ns(&self) -> u64 {
        self.events.header().monotonic_ns
    }

    /// The next transition in the time that is wanted.
    ///
    /// # Errors
    ///
    /// One sentence: the recording is damaged.
    pub fn next(&mut self) -> Result<Option<Transition>> {
        match self.events.next() {
            None => Ok(None),
            Some(Err(error)) => Err(anyhow!("{}: {error:#}", self.shown)),
            Some(Ok(Event::Transition(own))) if own.record.time_ns > self.end_ns => Ok(None),
            Some(Ok(Event::Transition(own))) => Ok(Some(own)),
        }
    }
}

/// Refuses what the events of a recording do not tell.
///
/// # Errors
///
/// One sentence.
pub fn check_filter(filter: &Filter<State>) -> Result<()> {
    if filter.needs_process_details() {
        bail!(
            "--cgroup and --container with --replay: events are recorded with pid and name alone; \
             use --pid or --comm"
        );
    }
    Ok(())
}

//! The events of a recording, for commands that are about what happened.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Error, Result, anyhow, bail};

use crate::commands::notices::Notices;
use crate::lifecycle::event::{Event, Transition};
use crate::lifecycle::filter::Filter;
use crate::lifecycle::report::Degradation;
use crate::lifecycle::socket::State;
use crate::source::recording::{Events, Moment, file};

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
    is_cut_short: bool,
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
        let shown = path.display().to_string();
        Ok(Self { events: Events::new(reader), lacks, shown, end_ns, is_cut_short: false })
    }

    /// When it began, ns, monotonic clock of the recorded host.
    #[must_use]
    pub fn began_ns(&self) -> u64 {
        self.events.header().monotonic_ns
    }

    /// What is told next, of the time that is wanted.
    ///
    /// # Errors
    ///
    /// One sentence: the recording is damaged.
    pub fn moment(&mut self) -> Result<Option<Moment>> {
        let moment = self.events.next().transpose();
        let moment = moment.map_err(|error| anyhow!("{}: {error:#}", self.shown))?;
        let is_wanted = |own: &Moment| own.time_ns().is_none_or(|time_ns| time_ns <= self.end_ns);
        self.is_cut_short = moment.as_ref().is_some_and(|own| !is_wanted(own));
        Ok(moment.filter(is_wanted))
    }

    /// The next transition in the time that is wanted.
    ///
    /// # Errors
    ///
    /// One sentence: the recording is damaged.
    pub fn transition(&mut self) -> Result<Option<Transition>> {
        loop {
            match self.moment()? {
                Some(Moment::Event(Event::Transition(own))) => return Ok(Some(own)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// When it ended, if it has more than what is wanted, ns, monotonic clock of the recorded host.
    #[must_use]
    pub fn cut_short_ns(&self) -> Option<u64> {
        self.is_cut_short.then_some(self.end_ns)
    }

    /// What is wrong with it, in one sentence with its name.
    #[must_use]
    pub fn complaint(&self, sentence: &str) -> Error {
        anyhow!("{}: {sentence}", self.shown)
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

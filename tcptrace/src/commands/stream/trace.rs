//! From records to lines: decoded, filtered, written in blocks.

use std::collections::HashSet;
use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::commands::clock::{monotonic_ns, wall_ns, wall_offset_ns};
use crate::commands::openers::Openers;
use crate::kernel::counters::Counters;
use crate::kernel::ring::Ring;
use crate::lifecycle::event::Transition;
use crate::lifecycle::filter::Filter;
use crate::lifecycle::machine::Class;
use crate::lifecycle::report::Degradation;
use crate::lifecycle::socket::State;
use crate::lifecycle::stream::{Frame, Summary};
use crate::output::stream::Lines;

/// Lines are written when they are so many bytes.
const BLOCK: usize = 256 << 10;
/// Records that are taken before the bytes are counted; their lines are below 1 KiB each.
const BATCH: usize = 512;
/// Lines wait for one another no longer than this.
const PATIENCE: Duration = Duration::from_millis(20);
/// What the wall clock may be off by before it is asked again: less than that is slewing, and
/// times of lines shall not go back and forth.
const CLOCK_SLACK_NS: u64 = 1_000_000;

/// What was in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Nothing.
    Nothing,
    /// Some records, and all that there were.
    All,
    /// So many that more are there now.
    More,
}

/// The trace, as far as user space has it.
pub struct Trace {
    frame: Frame,
    filter: Filter<State>,
    openers: Option<Openers>,
    lines: Box<dyn Lines>,
    block: Vec<u8>,
    shown: u64,
    odd: u64,
}

impl Trace {
    /// Nothing seen yet. `filter` has its namespaces resolved; `held` are the sockets that its
    /// processes hold, by cookie.
    #[must_use]
    pub fn new(
        frame: Frame,
        filter: Filter<State>,
        lines: Box<dyn Lines>,
        held: HashSet<u64>,
    ) -> Self {
        let openers = filter.is_about_processes().then(|| Openers::new(held));
        let block = Vec::with_capacity(BLOCK + BATCH * 1024);
        Self { frame, filter, openers, lines, block, shown: 0, odd: 0 }
    }

    /// Writes what comes before the lines.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn begin(&mut self, out: &mut dyn Write) -> Result<()> {
        self.lines.head(&mut self.block);
        self.flush(out)
    }

    /// Shows the records that are there, or as many as come within [`PATIENCE`].
    ///
    /// # Errors
    ///
    /// When lines cannot be written.
    pub fn take_up(&mut self, ring: &mut Ring, out: &mut dyn Write) -> Result<Taken> {
        let begun = Instant::now();
        let mut state = Taken::Nothing;
        self.set_clock();
        loop {
            let count = ring.take_up(BATCH, |transition| self.transition(transition));
            if self.block.len() >= BLOCK {
                self.write(out)?;
            }
            state = match count {
                0 => state,
                BATCH => Taken::More,
                _ => Taken::All,
            };
            if count < BATCH || begun.elapsed() >= PATIENCE {
                break;
            }
        }
        if state != Taken::Nothing {
            self.flush(out)?;
        }
        Ok(state)
    }

    /// Shows a transition of a recording, whose clocks were so far apart then.
    ///
    /// # Errors
    ///
    /// When lines cannot be written.
    pub fn replay(
        &mut self,
        transition: &Transition,
        wall_offset_ns: u64,
        out: &mut dyn Write,
    ) -> Result<()> {
        self.frame.wall_offset_ns = wall_offset_ns;
        self.transition(transition);
        if self.block.len() >= BLOCK {
            self.write(out)?;
        }
        Ok(())
    }

    /// What was shown, for the end of a replay.
    #[must_use]
    pub fn shown_and_odd(&self) -> (u64, u64) {
        (self.shown, self.odd)
    }

    /// The wall clock may be set while the trace runs.
    fn set_clock(&mut self) {
        let offset = wall_offset_ns();
        if offset.abs_diff(self.frame.wall_offset_ns) > CLOCK_SLACK_NS {
            self.frame.wall_offset_ns = offset;
        }
    }

    fn transition(&mut self, transition: &Transition) {
        let line = self.frame.line(transition);
        let is_wanted = self.filter.matches_socket(&line)
            && self
                .openers
                .as_mut()
                .is_none_or(|own| own.want(&self.filter, line.opener.as_ref(), line.cookie));
        if !is_wanted {
            return;
        }
        match Class::of(line.from, line.to) {
            Class::Normal(_) => {}
            Class::Special(why) => {
                log::trace!("{} → {}: {why}", line.from.name(), line.to.name());
            }
            Class::Never => {
                self.odd += 1;
                let cookie = transition.record.cookie;
                log::debug!(
                    "socket {cookie}: {} → {} is no transition of TCP",
                    line.from.name(),
                    line.to.name()
                );
            }
        }
        self.shown += 1;
        self.lines.line(&line, &mut self.block);
    }

    fn write(&mut self, out: &mut dyn Write) -> Result<()> {
        out.write_all(&self.block).context("cannot write the events")?;
        self.block.clear();
        Ok(())
    }

    fn flush(&mut self, out: &mut dyn Write) -> Result<()> {
        self.write(out)?;
        out.flush().context("cannot write the events")
    }

    /// What all of it amounts to.
    #[must_use]
    pub fn summary(&self, kernel: &str, counters: &Counters, lacks: &[Degradation]) -> Summary {
        Summary {
            time_ns: wall_ns(),
            kernel: kernel.to_owned(),
            traced_ns: monotonic_ns().saturating_sub(self.frame.started_ns),
            events: counters.transitions(),
            shown: self.shown,
            odd: self.odd,
            lost: counters.losses(),
            degradations: lacks.to_vec(),
        }
    }

    /// Writes what comes after the lines.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn end(&mut self, summary: &Summary, out: &mut dyn Write) -> Result<()> {
        self.lines.end(summary, &mut self.block);
        self.flush(out)
    }
}

//! Looking at the kernel: one snapshot, and as many more looks as its questions need.

use std::time::Duration;
use std::{mem, thread};

use anyhow::{Context as _, Result};

use crate::kernel::load::Kernel;
use crate::kernel::netns::{self, Namespace};
use crate::lifecycle::history::History;
use crate::lifecycle::leak::Question;
use crate::lifecycle::look::{Look, Sight};
use crate::lifecycle::rows::Rows;

use super::clock::{monotonic_ns, wall_offset_ns};
use super::namespaces;

/// Time between two looks at a socket whose unsent data may move: a few round trips of a far
/// network, and short enough for the first report.
const SECOND_LOOK: Duration = Duration::from_millis(200);

/// How often in a row descriptors are read again in vain before a socket that nobody seems to hold
/// is left at that. A pass takes time, and a program that moves its descriptors about is missed by
/// some; so there are more of them where one has found a holder that those before had missed.
const VAIN_PASSES: usize = 3;
const VAIN_PASSES_OF_MOVING: usize = 8;
/// Most such passes in all.
const MOST_PASSES: usize = 32;

/// What is asked at every look.
#[derive(Clone, Debug)]
pub struct Ask {
    /// Network namespaces that the user wants to see; empty: all.
    pub netns: Vec<u32>,
    /// Whether no process can be hidden from the tool.
    pub sees_all_processes: bool,
    /// Least age of a leak, ns.
    pub min_age_ns: u64,
}

/// One who looks.
pub struct Lookout {
    /// The kernel side.
    pub kernel: Kernel,
    ask: Ask,
    /// When the trace began, ns, monotonic clock.
    started_ns: u64,
    history: History,
}

impl Lookout {
    /// Begins to look, as of now.
    #[must_use]
    pub fn new(kernel: Kernel, ask: Ask) -> Self {
        Self { kernel, ask, started_ns: monotonic_ns(), history: History::default() }
    }

    /// Whether no process can be hidden from the tool.
    #[must_use]
    pub fn sees_all_processes(&self) -> bool {
        self.ask.sees_all_processes
    }

    /// One snapshot, or two where the first raises a question that the second answers.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub fn look(&mut self) -> Result<Sight> {
        let mut sight = self.snapshot()?;
        if sight.findings.needs_second_look {
            thread::sleep(SECOND_LOOK);
            sight = self.snapshot()?;
        }
        Ok(sight)
    }

    /// Descriptors first, socket tables second: a socket in CLOSE_WAIT that is reported was so when
    /// the tables were read. Dead sockets are in no table, and nor are those of a namespace that could
    /// not be read, so where there are some, descriptors are read once more.
    fn snapshot(&mut self) -> Result<Sight> {
        let mut rows = self.descriptors()?;
        self.read_namespaces(netns::all(), &mut rows)?;
        self.read_namespaces(namespaces::unread(&rows.namespaces), &mut rows)?;
        self.find_holders(&mut rows)?;
        let is_missed = rows.namespaces.missed().any(|netns| self.is_wanted(netns));
        if rows.has_dead() || is_missed {
            let later = self.descriptors()?;
            rows.confirm_dead(&later);
            rows.confirm_unread(&later);
        }
        let look = self.noted(rows);
        Ok(Sight { findings: look.find(self.ask.min_age_ns), look })
    }

    /// A snapshot with what those before it had shown; it is one of them from now on.
    fn noted(&mut self, rows: Rows) -> Look {
        let learned = self.history.learned(&rows);
        Look {
            rows,
            history: mem::replace(&mut self.history, learned),
            question: Question {
                min_age_ns: self.ask.min_age_ns,
                traced_ns: monotonic_ns() - self.started_ns,
                wall_offset_ns: wall_offset_ns(),
                sees_all_processes: self.ask.sees_all_processes,
            },
            started_ns: self.started_ns,
            ..Look::default()
        }
    }

    fn is_wanted(&self, netns: u32) -> bool {
        self.ask.netns.is_empty() || self.ask.netns.contains(&netns)
    }

    fn descriptors(&mut self) -> Result<Rows> {
        let mut rows = Rows::default();
        rows.decode(self.kernel.files()?).context("cannot understand the descriptors' rows")?;
        rows.held.retain(|held| self.is_wanted(held.socket.row.netns));
        Ok(rows)
    }

    /// Looks again for who holds the sockets that nobody seems to hold, unless for none of them the
    /// snapshot before had found anybody either.
    fn find_holders(&mut self, rows: &mut Rows) -> Result<()> {
        let mut unheld = rows.unheld();
        if unheld.iter().all(|cookie| self.history.was_unheld(*cookie)) {
            return Ok(());
        }
        let (mut vain, mut enough) = (0, VAIN_PASSES);
        for _ in 0..MOST_PASSES {
            if unheld.is_empty() || vain == enough {
                break;
            }
            let before = unheld.len();
            log::debug!("{before} sockets seem to be held by nobody");
            let later = self.descriptors()?;
            rows.find_holders(later, &mut unheld);
            if unheld.len() == before {
                vain += 1;
            } else {
                (vain, enough) = (0, VAIN_PASSES_OF_MOVING);
            }
        }
        Ok(())
    }

    fn read_namespaces(&mut self, mut namespaces: Vec<Namespace>, rows: &mut Rows) -> Result<()> {
        namespaces.retain(|own| self.is_wanted(own.inode));
        for namespace in self.kernel.sockets(&namespaces)? {
            match namespace.rows {
                Ok(bytes) => {
                    rows.decode(bytes).context("cannot understand the sockets' rows")?;
                    rows.namespaces.note_read(namespace.inode);
                }
                Err(error) => log::debug!("{error:#}"),
            }
        }
        Ok(())
    }
}

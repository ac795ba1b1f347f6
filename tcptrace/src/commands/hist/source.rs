//! Where dwells come from: counts that the kernel side keeps, or a stream of them.

use std::borrow::Cow;
use std::future::pending;
use std::time::Duration;

use anyhow::Result;
use tcptrace_common::counter::Counter;

use crate::commands::held::held;
use crate::commands::log::load;
use crate::commands::notices::{Notices, warn};
use crate::commands::plan::HistPlan;
use crate::kernel::filter::KernelFilter;
use crate::kernel::histogram::HistogramWish;
use crate::kernel::hooks::Group;
use crate::kernel::host::Host;
use crate::kernel::load::{CensusWish, Kernel, Wish};
use crate::kernel::ring::Ring;
use crate::lifecycle::budget::Budget;
use crate::lifecycle::dwell::census::Ages;
use crate::lifecycle::dwell::dwells::Dwells;
use crate::lifecycle::dwell::key::By;
use crate::lifecycle::dwell::selection::Selection;
use crate::lifecycle::event::Transition;
use crate::lifecycle::filter::Filter;
use crate::lifecycle::report::Degradation;
use crate::lifecycle::socket::State;

use super::census::still_in_state;

/// A source of dwells. Its counts only grow.
pub struct Source {
    kernel: Kernel,
    notices: Notices,
    by: By,
    selection: Selection,
    /// `None`: the kernel side counts.
    stream: Option<Stream>,
}

/// Dwells that come one by one.
struct Stream {
    ring: Ring,
    dwells: Dwells,
}

/// What the kernel side counted besides dwells.
pub struct Totals {
    /// Transitions seen.
    pub events: u64,
    /// Dwells counted without their key.
    pub without_key: u64,
    /// Reason and count of what was lost.
    pub lost: Vec<(Cow<'static, str>, u64)>,
}

impl Source {
    /// Loads the kernel side. Where counts cannot tell what the user asks for, dwells are streamed,
    /// and a notice says so.
    ///
    /// # Errors
    ///
    /// What this host lacks, in one sentence.
    pub fn start(plan: &HistPlan, filter: Filter<State>, host: &Host) -> Result<Self> {
        let selection = Selection::new(filter);
        let beyond = selection.beyond_counts();
        let streamed = plan.exact || beyond.is_some();
        let mut kernel = load(host, &wish(plan, &selection.filter, streamed))?;
        let stream = match streamed {
            true => Some(Stream { ring: kernel.ring()?, dwells: Dwells::streamed() }),
            false => None,
        };
        let mut notices = Notices::of_hooks(&kernel);
        notices.say();
        if let Some(option) = beyond.filter(|_| !plan.exact) {
            warn(&format!(
                "{option}: counts in the kernel do not tell it, so every dwell is streamed, as \
                 with --exact"
            ));
        }
        Ok(Self { kernel, notices, by: plan.by, selection, stream })
    }

    /// Lets through the dwells of sockets that a process that is asked for holds already.
    ///
    /// # Errors
    ///
    /// When the descriptors of processes cannot be read, or show too many of them.
    pub fn find_held(&mut self) -> Result<()> {
        let Self { kernel, selection, .. } = self;
        if selection.filter.is_about_processes() {
            selection.held = held(kernel, &selection.filter, &selection.filter.pids)?;
            kernel.let_through(&selection.held)?;
        }
        Ok(())
    }

    /// Whether dwells are streamed.
    pub const fn is_exact(&self) -> bool {
        self.stream.is_some()
    }

    /// No dwells yet.
    pub fn none(&self) -> Dwells {
        if self.is_exact() { Dwells::streamed() } else { Dwells::counted() }
    }

    /// Waits until there is something to take up; without a stream, for ever.
    ///
    /// # Errors
    ///
    /// When the ring cannot be watched.
    pub async fn ready(&self) -> Result<()> {
        match &self.stream {
            Some(stream) => stream.ring.ready().await,
            None => pending().await,
        }
    }

    /// See [`Kernel::tend`].
    ///
    /// # Errors
    ///
    /// When a map cannot be read.
    pub fn tend(&mut self) -> Result<Duration> {
        self.kernel.tend()
    }

    /// Takes up some of the dwells that have come; says whether there may be more.
    pub fn take_some(&mut self) -> bool {
        let Self { stream, selection, by, .. } = self;
        let Some(Stream { ring, dwells }) = stream else { return false };
        ring.take_some(|transition| add(dwells, transition, selection, *by))
    }

    /// Takes up all dwells that have come.
    fn drain(&mut self) {
        let Self { stream, selection, by, .. } = self;
        let Some(Stream { ring, dwells }) = stream else { return };
        ring.drain(|transition| add(dwells, transition, selection, *by));
    }

    /// All dwells so far.
    ///
    /// # Errors
    ///
    /// When the kernel side's counts cannot be read.
    pub fn dwells(&mut self) -> Result<Dwells> {
        self.kernel.settle_ends()?;
        self.drain();
        if let Some(stream) = &self.stream {
            return Ok(stream.dwells.clone());
        }
        let mut dwells = self.kernel.dwells(self.by)?;
        dwells.retain(|key| self.selection.keeps_key(key));
        Ok(dwells)
    }

    /// The ages of the wanted sockets that are in a state now.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub fn still_in_state(&mut self) -> Result<Ages> {
        still_in_state(&mut self.kernel, &self.selection, self.by)
    }

    /// The kernel side's counters.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn totals(&mut self) -> Result<Totals> {
        let counters = self.kernel.counters()?;
        Ok(Totals {
            events: counters.transitions(),
            without_key: counters.get(Counter::HistogramOther),
            lost: counters.losses(),
        })
    }

    /// What this host lacks.
    pub fn degradations(&self) -> Vec<Degradation> {
        self.notices.all().to_vec()
    }
}

/// Adds the dwell that a transition ends, if it is asked for.
fn add(dwells: &mut Dwells, transition: &Transition, selection: &mut Selection, by: By) {
    if !transition.is_birth() && selection.keeps(transition) {
        dwells.add(transition, by);
    }
}

fn wish(plan: &HistPlan, filter: &Filter<State>, streamed: bool) -> Wish {
    let states = State::bits(&filter.states);
    let counted = HistogramWish { states, by: plan.by, key_buckets: plan.key_buckets };
    let needs_openers = plan.by == By::Comm || filter.is_about_processes();
    // A process may hold a socket in any state by now.
    let counts = if filter.is_about_processes() { State::bits(&[]) } else { states };
    let unused = Budget { sockets: plan.budget.sockets, ..Budget::default() };
    Wish {
        record_states: if streamed { states } else { 0 },
        budget: if streamed { plan.budget } else { unused },
        verbosity: plan.verbosity,
        groups: if needs_openers { Group::HIST_WITH_OPENERS } else { Group::HIST }.to_vec(),
        follow: true,
        filter: KernelFilter::of(filter),
        census: CensusWish { states: counts, memory: true },
        histogram: (!streamed).then_some(counted),
        ..Wish::default()
    }
}

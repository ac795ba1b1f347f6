//! Watching for leaks: snapshots of the kernel, made into reports.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tcptrace_common::counter::Counter;

use crate::kernel::host::Host;
use crate::kernel::load::Kernel;
use crate::lifecycle::cause::Cause;
use crate::lifecycle::event::Event;
use crate::lifecycle::filter::Filter;
use crate::lifecycle::group::group;
use crate::lifecycle::growth::Sizes;
use crate::lifecycle::report::{Leak, Report};
use crate::lifecycle::rows::Rows;
use crate::process::Processes;

use super::clock::{monotonic_ns, wall_ns};
use super::look::{Lookout, Sight};
use super::names::{fill_in, fill_in_stacks};
use super::notices::Notices;
use super::plan::LeaksPlan;
use super::stacks::StackService;

/// A watch over the host.
pub struct Watch<'a> {
    plan: &'a LeaksPlan,
    filter: Filter,
    lookout: Lookout,
    /// What this host lacks.
    pub notices: Notices,
    release: String,
    /// `None`: no stacks are wanted.
    stacks: Option<StackService>,
    sizes: Sizes,
    closed_late: u64,
}

impl<'a> Watch<'a> {
    /// Begins. `filter` is the plan's, its namespaces resolved.
    #[must_use]
    pub fn new(
        plan: &'a LeaksPlan,
        filter: Filter,
        kernel: Kernel,
        notices: Notices,
        stacks: Option<StackService>,
        host: &Host,
    ) -> Self {
        let sees_all = host.in_initial_pid_namespace;
        let lookout = Lookout::new(kernel, filter.netns.clone(), sees_all, nanos(plan.min_age));
        Self {
            plan,
            filter,
            lookout,
            notices,
            release: host.release.clone(),
            stacks,
            sizes: Sizes::default(),
            closed_late: 0,
        }
    }

    /// Counts a socket that left CLOSE_WAIT, if that was after `--min-age`; one whose time there is
    /// not known does not count.
    pub fn note(&mut self, event: &Event) {
        let Event::Transition(transition) = event;
        if transition.dwell_ns.is_some_and(|dwell| dwell >= nanos(self.plan.min_age)) {
            self.closed_late += 1;
        }
    }

    /// Asks the kernel and makes a report of the answer.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub fn report(&mut self) -> Result<Report> {
        let Sight { rows, findings } = self.lookout.look()?;
        self.note_blind_spots(&rows);
        if let Some(stacks) = self.stacks.as_ref().filter(|_| self.lookout.sees_all_processes) {
            stacks.meet(rows.servers());
        }
        let (now, checked_at_ns) = (monotonic_ns(), wall_ns());
        let counters = self.lookout.kernel.counters();
        let counters = counters.context("cannot read the kernel side's counters")?;
        let mut leaks = findings.leaks;
        fill_in(&mut leaks, &mut Processes::new());
        leaks.retain(|leak| self.filter.matches(leak));
        if let Some(stacks) = &mut self.stacks {
            fill_in_stacks(&mut leaks, stacks);
        }
        let (half, leaks): (Vec<Leak>, Vec<Leak>) =
            leaks.into_iter().partition(|leak| leak.cause == Cause::HalfClose);
        let min_age_ns = nanos(self.plan.min_age);
        let groups = group(leaks, self.plan.by, &self.sizes, now, min_age_ns);
        let half_closed = group(half, self.plan.by, &self.sizes, now, min_age_ns);
        self.note_sizes(now, groups.iter().chain(&half_closed));
        Ok(Report {
            checked_at_ns,
            traced_ns: now - self.lookout.started_ns,
            min_age_ns,
            groups,
            half_closed,
            sockets_checked: findings.checked,
            namespaces: rows.namespaces.count_read() as u64,
            events: counters.get(Counter::Transitions),
            closed_late: self.closed_late,
            lost: counters.lost(),
            degradations: self.notices.all().to_vec(),
            kernel: self.release.clone(),
        })
    }

    fn note_sizes<'b>(
        &mut self,
        now: u64,
        groups: impl Iterator<Item = &'b crate::lifecycle::report::Group>,
    ) {
        let sizes: HashMap<String, usize> =
            groups.map(|group| (group.key.clone(), group.leaks.len())).collect();
        self.sizes.note(now, sizes);
    }

    /// Says what of the host this snapshot could not show.
    fn note_blind_spots(&mut self, rows: &Rows) {
        if rows.mptcp() > 0 {
            self.notices.add(
                "mptcp-not-covered",
                "there are MPTCP sockets that may leak, which tcptrace does not cover; \
                 `ss -M` lists them",
            );
        }
        if rows.namespaces.missed().any(|netns| self.lookout.is_wanted(netns)) {
            self.notices.add(
                "namespace-unreadable",
                "there are network namespaces that cannot be entered; sockets that no process \
                 holds, and connections that were never accepted, are not seen there \
                 (needs CAP_SYS_ADMIN and CAP_SYS_PTRACE)",
            );
        }
    }
}

/// A duration in ns, cut off at 584 years.
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

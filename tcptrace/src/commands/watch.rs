//! Watching for leaks: snapshots of the kernel, made into reports.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tcptrace_common::counter::Counter;

use crate::kernel::host::Host;
use crate::kernel::load::Kernel;
use crate::kernel::netns::{self, Namespace};
use crate::lifecycle::cause::Cause;
use crate::lifecycle::event::Event;
use crate::lifecycle::filter::Filter;
use crate::lifecycle::group::group;
use crate::lifecycle::growth::Sizes;
use crate::lifecycle::history::History;
use crate::lifecycle::leak::{Findings, Question, find};
use crate::lifecycle::report::{Leak, Report};
use crate::lifecycle::rows::Rows;
use crate::process::Processes;

use super::clock::{monotonic_ns, wall_ns};
use super::names::fill_in;
use super::notices::Notices;
use super::plan::LeaksPlan;

/// Time between two looks at a socket whose unsent data may move: a few round trips of a far
/// network, and short enough for the first report.
const SECOND_LOOK: Duration = Duration::from_millis(200);

/// How many descriptors are tried to enter one namespace.
const TRIES: usize = 8;

/// A watch over the host.
pub struct Watch<'a> {
    plan: &'a LeaksPlan,
    filter: Filter,
    kernel: Kernel,
    /// What this host lacks.
    pub notices: Notices,
    release: String,
    sees_all_processes: bool,
    started_ns: u64,
    history: History,
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
        host: &Host,
    ) -> Self {
        Self {
            plan,
            filter,
            kernel,
            notices,
            release: host.release.clone(),
            sees_all_processes: host.in_initial_pid_namespace,
            started_ns: monotonic_ns(),
            history: History::default(),
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
        let (rows, findings) = self.look()?;
        let (now, checked_at_ns) = (monotonic_ns(), wall_ns());
        let counters = self.kernel.counters().context("cannot read the kernel side's counters")?;
        let mut leaks = findings.leaks;
        fill_in(&mut leaks, &mut Processes::new());
        leaks.retain(|leak| self.filter.matches(leak));
        let (half, leaks): (Vec<Leak>, Vec<Leak>) =
            leaks.into_iter().partition(|leak| leak.cause == Cause::HalfClose);
        let min_age_ns = nanos(self.plan.min_age);
        let groups = group(leaks, self.plan.by, &self.sizes, now, min_age_ns);
        let half_closed = group(half, self.plan.by, &self.sizes, now, min_age_ns);
        self.note_sizes(now, groups.iter().chain(&half_closed));
        Ok(Report {
            checked_at_ns,
            traced_ns: now - self.started_ns,
            min_age_ns,
            groups,
            half_closed,
            sockets_checked: findings.checked,
            namespaces: rows.namespaces.len() as u64,
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

    /// One snapshot, or two where the first raises a question that the second answers.
    fn look(&mut self) -> Result<(Rows, Findings)> {
        let (mut rows, mut findings) = self.snapshot()?;
        if findings.needs_second_look {
            self.history.learn(&rows);
            thread::sleep(SECOND_LOOK);
            (rows, findings) = self.snapshot()?;
        }
        self.history.learn(&rows);
        if rows.mptcp() > 0 {
            self.notices.add(
                "mptcp-not-covered",
                "there are MPTCP sockets that may leak, which tcptrace does not cover; \
                 `ss -M` lists them",
            );
        }
        Ok((rows, findings))
    }

    /// Descriptors first, socket tables second: a socket in CLOSE_WAIT that is reported was so when
    /// the tables were read. Dead sockets are in no table, so where there are some, descriptors
    /// are read once more.
    fn snapshot(&mut self) -> Result<(Rows, Findings)> {
        let mut rows = self.descriptors()?;
        self.read_namespaces(netns::all(), &mut rows)?;
        self.read_hidden_namespaces(&mut rows)?;
        if rows.has_dead() {
            let later = self.descriptors()?;
            rows.confirm_dead(&later);
        }
        let question = Question {
            min_age_ns: nanos(self.plan.min_age),
            traced_ns: monotonic_ns() - self.started_ns,
            wall_offset_ns: wall_ns().saturating_sub(monotonic_ns()),
            sees_all_processes: self.sees_all_processes,
        };
        let findings = find(&rows, &self.history, &question);
        Ok((rows, findings))
    }

    /// Whether the user wants to see sockets of a network namespace.
    fn is_wanted(&self, netns: u32) -> bool {
        self.filter.netns.is_empty() || self.filter.netns.contains(&netns)
    }

    fn descriptors(&mut self) -> Result<Rows> {
        let mut rows = Rows::default();
        rows.decode(self.kernel.files()?).context("cannot understand the descriptors' rows")?;
        rows.held.retain(|held| self.is_wanted(held.socket.row.netns));
        Ok(rows)
    }

    /// Namespaces that no process is in and that are mounted nowhere, but that a held socket
    /// leads to.
    fn read_hidden_namespaces(&mut self, rows: &mut Rows) -> Result<()> {
        let unread = rows.unread_namespaces();
        let open = |sockets: &Vec<(u32, u32)>| {
            sockets.iter().take(TRIES).find_map(|(pid, fd)| Namespace::of_socket(*pid, *fd))
        };
        self.read_namespaces(unread.values().filter_map(open).collect(), rows)?;
        if !rows.unread_namespaces().is_empty() {
            self.notices.add(
                "namespace-unreadable",
                "there are network namespaces that cannot be entered; sockets that no process \
                 holds, and connections that were never accepted, are not seen there \
                 (needs CAP_SYS_ADMIN and CAP_SYS_PTRACE)",
            );
        }
        Ok(())
    }

    fn read_namespaces(&mut self, mut namespaces: Vec<Namespace>, rows: &mut Rows) -> Result<()> {
        namespaces.retain(|own| self.is_wanted(own.inode));
        for namespace in self.kernel.sockets(&namespaces)? {
            match namespace.rows {
                Ok(bytes) => {
                    rows.decode(bytes).context("cannot understand the sockets' rows")?;
                    rows.namespaces.insert(namespace.inode);
                }
                Err(error) => log::debug!("{error:#}"),
            }
        }
        Ok(())
    }
}

/// A duration in ns, cut off at 584 years.
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

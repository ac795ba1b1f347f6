//! Watching for leaks: snapshots of the kernel, made into reports.

use std::collections::HashMap;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tcptrace_common::counter::Counter;

use crate::kernel::load::Kernel;
use crate::kernel::netns::{self, Namespace};
use crate::lifecycle::cause::Cause;
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

/// A watch over the host.
pub struct Watch<'a> {
    plan: &'a LeaksPlan,
    filter: Filter,
    kernel: Kernel,
    /// What this host lacks.
    pub notices: Notices,
    release: String,
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
        release: String,
    ) -> Self {
        Self {
            plan,
            filter,
            kernel,
            notices,
            release,
            started_ns: monotonic_ns(),
            history: History::default(),
            sizes: Sizes::default(),
            closed_late: 0,
        }
    }

    /// Counts a socket that left CLOSE_WAIT after `--min-age`.
    pub fn note_closed_late(&mut self) {
        self.closed_late += 1;
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
                "there are MPTCP sockets in CLOSE_WAIT, which tcptrace does not cover; \
                 `ss -M state close-wait` lists them",
            );
        }
        Ok((rows, findings))
    }

    /// Descriptors first, socket tables second: a socket that is reported was in its state when
    /// the tables were read.
    fn snapshot(&mut self) -> Result<(Rows, Findings)> {
        let mut rows = Rows::default();
        rows.decode(self.kernel.files()?).context("cannot understand the descriptors' rows")?;
        let namespaces = netns::all();
        self.read_namespaces(namespaces, &mut rows)?;
        let hidden = rows.unread_namespaces();
        let hidden = hidden.into_iter().filter_map(|(pid, fd, _)| Namespace::of_socket(pid, fd));
        self.read_namespaces(hidden.collect(), &mut rows)?;
        let question = Question {
            min_age_ns: nanos(self.plan.min_age),
            traced_ns: monotonic_ns() - self.started_ns,
            wall_offset_ns: wall_ns().saturating_sub(monotonic_ns()),
        };
        let findings = find(&rows, &self.history, &question);
        Ok((rows, findings))
    }

    fn read_namespaces(&mut self, mut namespaces: Vec<Namespace>, rows: &mut Rows) -> Result<()> {
        let wanted = &self.filter.netns;
        namespaces.retain(|own| wanted.is_empty() || wanted.contains(&own.inode));
        for namespace in self.kernel.sockets(&namespaces)? {
            match namespace.rows {
                Ok(bytes) => {
                    rows.decode(bytes).context("cannot understand the sockets' rows")?;
                    rows.namespaces.insert(namespace.inode);
                }
                Err(error) => self.notices.add(
                    "namespace-unreadable",
                    &format!("{error:#}; sockets that no process holds are not seen there"),
                ),
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

//! Watching for leaks: looks, made into reports.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;

use crate::lifecycle::cause::Cause;
use crate::lifecycle::filter::Filter;
use crate::lifecycle::group::group;
use crate::lifecycle::growth::Sizes;
use crate::lifecycle::late::LateCloses;
use crate::lifecycle::look::{Look, Sight};
use crate::lifecycle::names::forgo_stacks;
use crate::lifecycle::outlook::Outlook;
use crate::lifecycle::report::{Group, Leak, Report};
use crate::lifecycle::rows::Rows;
use crate::source::Source;

use super::live::Live;
use super::notices::Notices;
use super::plan::LeaksPlan;
use super::stop::Stop;

/// A watch over a host, of this moment or of a recording: it does not know which.
pub struct Watch<'a, S> {
    plan: &'a LeaksPlan,
    filter: Filter,
    /// Where looks come from.
    pub source: S,
    /// What the host lacks.
    pub notices: Notices,
    release: String,
    sizes: Sizes,
    late: LateCloses,
}

impl<'a, S: Source> Watch<'a, S> {
    /// Begins. `filter` is the plan's, its namespaces resolved; `release` is that of the host's
    /// kernel.
    #[must_use]
    pub fn new(
        plan: &'a LeaksPlan,
        filter: Filter,
        source: S,
        notices: Notices,
        release: &str,
    ) -> Self {
        Self {
            plan,
            filter,
            source,
            notices,
            release: release.to_owned(),
            sizes: Sizes::default(),
            late: LateCloses::new(nanos(plan.min_age)),
        }
    }

    /// The next look as a report; `None`: there are no more.
    ///
    /// # Errors
    ///
    /// When the source fails.
    pub fn report(&mut self) -> Result<Option<Report>> {
        let Some(Sight { look, findings }) = self.look()? else { return Ok(None) };
        self.notices.add_all(&look.degradations);
        self.note_blind_spots(&look.rows);
        let (half, leaks) = self.named(findings.leaks);
        let min_age_ns = nanos(self.plan.min_age);
        let all = leaks.iter().chain(&half);
        let outlook = Outlook::new(&self.sizes, all, look.now_ns, min_age_ns);
        let group = |leaks| group(leaks, self.plan.by, &outlook);
        let (groups, half_closed) = (group(leaks), group(half));
        let held = outlook.into_held();
        self.sizes.processes.note(look.now_ns, held);
        self.note_sizes(look.now_ns, groups.iter().chain(&half_closed));
        Ok(Some(self.joined(look, findings.checked, groups, half_closed)))
    }

    fn look(&mut self) -> Result<Option<Sight>> {
        let Self { source, late, .. } = self;
        source.look(&mut |transition| late.note(transition))
    }

    /// Those that the user wants to see, with names; half-closed ones apart.
    fn named(&mut self, mut leaks: Vec<Leak>) -> (Vec<Leak>, Vec<Leak>) {
        self.source.name_processes(&mut leaks);
        leaks.retain(|leak| self.filter.matches(leak));
        if self.plan.stacks {
            self.source.name_stacks(&mut leaks);
        } else {
            forgo_stacks(&mut leaks);
        }
        leaks.into_iter().partition(|leak| leak.cause == Cause::HalfClose)
    }

    fn joined(&self, look: Look, checked: u64, groups: Vec<Group>, half: Vec<Group>) -> Report {
        Report {
            checked_at_ns: look.wall_ns,
            traced_ns: look.now_ns.saturating_sub(look.started_ns),
            min_age_ns: nanos(self.plan.min_age),
            groups,
            half_closed: half,
            sockets_checked: checked,
            namespaces: look.rows.namespaces.read().count() as u64,
            events: look.events,
            closed_late: self.late.count,
            lost: look.lost,
            degradations: self.notices.all().to_vec(),
            kernel: self.release.clone(),
        }
    }

    fn note_sizes<'b>(&mut self, now: u64, groups: impl Iterator<Item = &'b Group>) {
        let sizes = groups.map(|group| (group.key.clone(), group.leaks.len()));
        self.sizes.groups.note(now, sizes.collect());
    }

    /// Says what of the host this snapshot could not show.
    fn note_blind_spots(&mut self, rows: &Rows) {
        let there: HashSet<u32> = rows.namespaces.read().chain(rows.namespaces.known()).collect();
        let gone = self.filter.netns.iter().filter(|netns| !there.contains(netns));
        let gone: Vec<String> = gone.map(u32::to_string).collect();
        if !gone.is_empty() {
            self.notices.add(
                "namespace-not-found",
                &format!("nothing is seen of network namespace {}", gone.join(", ")),
            );
        }
        if rows.mptcp() > 0 {
            self.notices.add(
                "mptcp-not-covered",
                "there are MPTCP sockets that may leak, which tcptrace does not cover; \
                 `ss -M` lists them",
            );
        }
        if rows.namespaces.missed().any(|netns| self.filter.wants_namespace(netns)) {
            self.notices.add(
                "namespace-unreadable",
                "there are network namespaces that cannot be entered; sockets that no process \
                 holds, and connections that were never accepted, are not seen there \
                 (needs CAP_SYS_ADMIN and CAP_SYS_PTRACE)",
            );
        }
    }
}

impl Watch<'_, Live> {
    /// Waits for the time of the next report, or until it is time to stop.
    ///
    /// # Errors
    ///
    /// When the kernel side cannot be listened to any more.
    pub async fn wait(&mut self, until: Instant, stop: &mut Stop) -> Result<()> {
        let Self { source, late, .. } = self;
        let note = |transition: &_| {
            late.note(transition);
            Ok(())
        };
        source.wait(until, stop, note).await
    }
}

/// A duration in ns, cut off at 584 years.
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

//! `tcptrace hist --replay`.

use std::io::Write;
use std::path::Path;

use anyhow::Result;

use crate::commands::outcome::Outcome;
use crate::commands::plan::HistPlan;
use crate::commands::replay::events::{Recorded, check_filter};
use crate::commands::replay::inodes;
use crate::commands::watch::nanos;
use crate::kernel::privilege::{Work, keep_for};
use crate::lifecycle::dwell::census::Ages;
use crate::lifecycle::dwell::dwells::Dwells;
use crate::lifecycle::dwell::report::{HistReport, Scope, rows};
use crate::lifecycle::dwell::selection::Selection;
use crate::lifecycle::filter::Filter;

use super::outputs::Outputs;

/// Makes the histograms of a recording. Intervals in which nothing ended are left out, and nobody
/// has looked which sockets are still in a state.
///
/// # Errors
///
/// What failed, in one sentence.
pub fn run(plan: &HistPlan, path: &Path, out: &mut dyn Write) -> Result<Outcome> {
    check_filter(&plan.selection.filter)?;
    let filter = Filter { netns: inodes(&plan.netns)?, ..plan.selection.filter.clone() };
    let selection = Selection { filter };
    // A log is opened when the recording has turned out to be one.
    let opens_log = plan.hdr_log.is_some();
    let opened = || if opens_log { Ok(()) } else { keep_for(Work::Replay) };
    let mut recorded = Recorded::open(path, plan.until.elapsed().map(nanos), opened)?;
    let mut outputs = Outputs::open(plan)?;
    keep_for(Work::Replay)?;
    let mut tally = Tally::new(plan, recorded.began_ns());
    while let Some(transition) = recorded.next()? {
        if tally.ends_interval(transition.record.time_ns) {
            outputs.write(&tally.interval(&recorded), out)?;
        }
        tally.events += 1;
        tally.now_ns = tally.now_ns.max(transition.record.time_ns);
        if !transition.is_birth() && selection.keeps(&transition) {
            tally.dwells.add(&transition, plan.by);
        }
    }
    if plan.interval.is_some() {
        outputs.write(&tally.interval(&recorded), out)?;
    }
    outputs.write(&tally.total(&recorded), out)?;
    Ok(Outcome::Done)
}

/// Dwells so far.
struct Tally<'a> {
    plan: &'a HistPlan,
    began_ns: u64,
    now_ns: u64,
    reported_ns: u64,
    dwells: Dwells,
    reported: Dwells,
    events: u64,
}

impl<'a> Tally<'a> {
    fn new(plan: &'a HistPlan, began_ns: u64) -> Self {
        Self {
            plan,
            began_ns,
            now_ns: began_ns,
            reported_ns: began_ns,
            dwells: Dwells::streamed(),
            reported: Dwells::streamed(),
            events: 0,
        }
    }

    /// Whether an event at this time comes after the end of an interval in which something ended.
    fn ends_interval(&mut self, time_ns: u64) -> bool {
        let Some(interval) = self.plan.interval.map(nanos) else { return false };
        let whole = time_ns.saturating_sub(self.reported_ns) / interval.max(1);
        if whole == 0 {
            return false;
        }
        if self.dwells == self.reported {
            self.reported_ns += whole * interval;
            return false;
        }
        self.now_ns = self.reported_ns + interval;
        true
    }

    fn interval(&mut self, recorded: &Recorded) -> HistReport {
        let delta = self.dwells.since(&self.reported);
        self.reported = self.dwells.clone();
        let span_ns =
            self.now_ns.saturating_sub(std::mem::replace(&mut self.reported_ns, self.now_ns));
        self.report(recorded, Scope::Interval, delta, span_ns)
    }

    fn total(&self, recorded: &Recorded) -> HistReport {
        let span_ns = self.now_ns - self.began_ns;
        self.report(recorded, Scope::Total, self.dwells.clone(), span_ns)
    }

    fn report(
        &self,
        recorded: &Recorded,
        scope: Scope,
        dwells: Dwells,
        span_ns: u64,
    ) -> HistReport {
        HistReport {
            made_at_ns: self.now_ns.saturating_add(recorded.events.wall_offset_ns()),
            scope,
            span_ns,
            traced_ns: self.now_ns - self.began_ns,
            by: self.plan.by,
            exact: true,
            error: dwells.layout().error(),
            rows: rows(dwells, Ages::new()),
            census: false,
            events: self.events,
            without_key: 0,
            lost: recorded.events.lost().to_vec(),
            degradations: recorded.lacks.clone(),
            kernel: recorded.events.header().kernel.clone(),
        }
    }
}

//! `tcptrace hist`.

mod census;
mod outputs;
mod replay;
mod source;

use std::io::Write;

use anyhow::Result;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until};

use crate::kernel::host::Host;
use crate::kernel::privilege::{Work, keep_for};
use crate::lifecycle::dwell::dwells::Dwells;
use crate::lifecycle::dwell::report::{HistReport, Scope, rows};

use super::clock::{monotonic_ns, wall_ns};
use super::log;
use super::notices::warn;
use super::outcome::Outcome;
use super::plan::HistPlan;
use super::scope::resolve;
use super::stop::Stop;
use outputs::Outputs;
use source::Source;

/// Runs until the plan says stop.
///
/// # Errors
///
/// What failed, in one sentence.
pub async fn run(plan: &HistPlan, out: &mut dyn Write) -> Result<Outcome> {
    if let Some(path) = &plan.replay {
        return replay::run(plan, path, out);
    }
    let filter = resolve(&plan.filter, &plan.netns)?;
    let mut stop = Stop::new(plan.until)?;
    log::to_stderr(plan.verbosity);
    let host = Host::look();
    let mut source = Source::start(plan, filter, &host)?;
    // Not before it is sure that there will be something to write: an older log is overwritten.
    let mut outputs = Outputs::open(plan)?;
    keep_for(Work::Hist)?;
    source.find_held()?;
    warn(announcement(plan));
    let mut watch = Watch::new(plan, source, host.release);
    stop.count_from(Instant::now());
    while !wait(plan, &mut watch, &mut stop).await? {
        outputs.write(&watch.interval()?, out)?;
    }
    if plan.interval.is_some() {
        outputs.write(&watch.interval()?, out)?;
    }
    outputs.write(&watch.total()?, out)?;
    Ok(Outcome::Done)
}

fn announcement(plan: &HistPlan) -> &'static str {
    match plan.interval {
        Some(_) => "tracing; a report each interval, Ctrl-C for the total",
        None => "tracing; Ctrl-C for the answer",
    }
}

/// Waits for the end of an interval, or of the run: says whether it is that. Reads what streams in
/// meanwhile.
async fn wait(plan: &HistPlan, watch: &mut Watch<'_>, stop: &mut Stop) -> Result<bool> {
    let next = plan.interval.and_then(|interval| watch.interval_began.checked_add(interval));
    let far = || Instant::now() + std::time::Duration::from_secs(1 << 30);
    let next = next.unwrap_or_else(far);
    let mut is_behind = false;
    loop {
        let tended = sleep(watch.source.tend()?);
        tokio::select! {
            biased;
            () = stop.wait() => return Ok(true),
            () = sleep_until(next) => {
                watch.interval_began = next.max(Instant::now());
                return Ok(false);
            }
            () = yield_now(), if is_behind => {}
            ready = watch.source.ready(), if !is_behind => ready?,
            () = tended, if !is_behind => {}
        }
        is_behind = watch.source.take_some();
    }
}

/// The state of a run.
struct Watch<'a> {
    plan: &'a HistPlan,
    source: Source,
    release: String,
    started_ns: u64,
    interval_began: Instant,
    reported_ns: u64,
    reported: Dwells,
}

impl<'a> Watch<'a> {
    fn new(plan: &'a HistPlan, source: Source, release: String) -> Self {
        let now = monotonic_ns();
        Self {
            plan,
            reported: source.none(),
            source,
            release,
            started_ns: now,
            interval_began: Instant::now(),
            reported_ns: now,
        }
    }

    /// What happened since the last report.
    fn interval(&mut self) -> Result<HistReport> {
        let dwells = self.source.dwells()?;
        let delta = dwells.since(&self.reported);
        self.reported = dwells;
        let now = monotonic_ns();
        let span = now - std::mem::replace(&mut self.reported_ns, now);
        self.report(Scope::Interval, delta, span)
    }

    /// What happened since the trace began. Where the last interval was reported just now, nothing
    /// is added to it, so that intervals add up to the total.
    fn total(&mut self) -> Result<HistReport> {
        let dwells = match self.plan.interval {
            Some(_) => self.reported.clone(),
            None => self.source.dwells()?,
        };
        let span = monotonic_ns() - self.started_ns;
        self.report(Scope::Total, dwells, span)
    }

    fn report(&mut self, scope: Scope, dwells: Dwells, span_ns: u64) -> Result<HistReport> {
        let error = dwells.layout().error();
        let ages = self.source.still_in_state()?;
        let totals = self.source.totals()?;
        Ok(HistReport {
            made_at_ns: wall_ns(),
            scope,
            span_ns,
            traced_ns: monotonic_ns() - self.started_ns,
            by: self.plan.by,
            exact: self.source.is_exact(),
            error,
            rows: rows(dwells, ages),
            census: true,
            events: totals.events,
            without_key: totals.without_key,
            lost: totals.lost,
            degradations: self.source.degradations(),
            kernel: self.release.clone(),
        })
    }
}

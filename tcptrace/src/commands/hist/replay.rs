//! `tcptrace hist --replay`.

use std::io::Write;
use std::path::Path;

use anyhow::Result;

use crate::commands::log;
use crate::commands::outcome::Outcome;
use crate::commands::plan::HistPlan;
use crate::commands::replay::events::{Recorded, check_filter};
use crate::commands::replay::inodes;
use crate::commands::watch::nanos;
use crate::kernel::privilege::{Work, keep_for};
use crate::lifecycle::dwell::census::{Ages, note};
use crate::lifecycle::dwell::dwells::Dwells;
use crate::lifecycle::dwell::population::Population;
use crate::lifecycle::dwell::report::{HistReport, Scope, rows};
use crate::lifecycle::dwell::selection::Selection;
use crate::lifecycle::event::{Event, Transition};
use crate::lifecycle::filter::Filter;
use crate::source::recording::Moment;

use super::outputs::Outputs;

/// More intervals than this between two things that are told are too many: a recording has a look
/// each interval of its own, unless somebody has made up its times.
const MOST_EMPTY: u64 = 1_000_000;

/// Makes the histograms of a recording. Which sockets are still in a state is told by the censuses
/// in it and what happened since.
///
/// # Errors
///
/// What failed, in one sentence.
pub fn run(plan: &HistPlan, path: &Path, out: &mut dyn Write) -> Result<Outcome> {
    log::to_stderr(plan.verbosity);
    check_filter(&plan.filter)?;
    let filter = Filter { netns: inodes(&plan.netns)?, ..plan.filter.clone() };
    // A log is opened when the recording has turned out to be one.
    let opens_log = plan.hdr_log.is_some();
    let opened = || if opens_log { Ok(()) } else { keep_for(Work::Replay) };
    let mut recorded = Recorded::open(path, plan.until.elapsed().map(nanos), opened)?;
    let mut outputs = Outputs::open(plan)?;
    keep_for(Work::Replay)?;
    let mut tally = Tally::new(plan, Selection::new(filter), recorded.began_ns());
    while let Some(moment) = recorded.moment()? {
        if let Some(time_ns) = moment.time_ns() {
            report_until(&mut tally, time_ns, &recorded, &mut outputs, out)?;
        }
        tally.take(&moment);
    }
    if let Some(end_ns) = recorded.cut_short_ns() {
        report_until(&mut tally, end_ns, &recorded, &mut outputs, out)?;
    }
    if plan.interval.is_some() {
        outputs.write(&tally.interval(&recorded), out)?;
    }
    outputs.write(&tally.total(&recorded), out)?;
    Ok(Outcome::Done)
}

/// Lets the time pass, with a report at the end of each interval.
fn report_until(
    tally: &mut Tally<'_>,
    time_ns: u64,
    recorded: &Recorded,
    outputs: &mut Outputs,
    out: &mut dyn Write,
) -> Result<()> {
    let due = tally.intervals_until(time_ns);
    if due > MOST_EMPTY {
        let sentence = "--interval is too short for the time in which nothing happened";
        return Err(recorded.complaint(sentence));
    }
    for _ in 0..due {
        tally.now_ns = tally.next_ns();
        outputs.write(&tally.interval(recorded), out)?;
    }
    tally.now_ns = tally.now_ns.max(time_ns);
    Ok(())
}

/// What was told so far.
struct Tally<'a> {
    plan: &'a HistPlan,
    selection: Selection,
    began_ns: u64,
    now_ns: u64,
    reported_ns: u64,
    dwells: Dwells,
    reported: Dwells,
    population: Population,
    events: u64,
}

impl<'a> Tally<'a> {
    fn new(plan: &'a HistPlan, selection: Selection, began_ns: u64) -> Self {
        Self {
            plan,
            selection,
            began_ns,
            now_ns: began_ns,
            reported_ns: began_ns,
            dwells: Dwells::streamed(),
            reported: Dwells::streamed(),
            population: Population::default(),
            events: 0,
        }
    }

    fn take(&mut self, moment: &Moment) {
        match moment {
            Moment::Event(Event::Transition(transition)) => self.moved(transition),
            Moment::Counted(sockets) => self.population.count(sockets),
            Moment::Census { .. } => self.population.settle(),
            Moment::Look { dead, .. } => self.population.find_dead(dead),
        }
    }

    fn moved(&mut self, transition: &Transition) {
        self.events += 1;
        self.population.apply(transition);
        if !transition.is_birth() && self.selection.keeps(transition) {
            self.dwells.add(transition, self.plan.by);
        }
    }

    /// Length of an interval, ns; for ever where none is asked for.
    fn interval_ns(&self) -> u64 {
        self.plan.interval.map_or(u64::MAX, nanos).max(1)
    }

    /// The end of the interval that goes on.
    fn next_ns(&self) -> u64 {
        self.reported_ns.saturating_add(self.interval_ns())
    }

    /// How many intervals end before a time.
    fn intervals_until(&self, time_ns: u64) -> u64 {
        time_ns.saturating_sub(self.reported_ns) / self.interval_ns()
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
        let ages = self.still_in_state();
        HistReport {
            made_at_ns: self.now_ns.saturating_add(recorded.events.wall_offset_ns()),
            scope,
            span_ns,
            traced_ns: self.now_ns - self.began_ns,
            by: self.plan.by,
            exact: true,
            error: dwells.layout().error(),
            rows: rows(dwells, ages),
            census: self.population.is_known(),
            events: self.events,
            without_key: 0,
            lost: recorded.events.lost().to_vec(),
            degradations: recorded.lacks.clone(),
            kernel: recorded.events.header().kernel.clone(),
        }
    }

    fn still_in_state(&self) -> Ages {
        let mut ages = Ages::new();
        if self.population.is_known() {
            for still in self.population.stills(self.now_ns) {
                if self.selection.keeps_still(&still) {
                    note(&mut ages, &still, self.plan.by);
                }
            }
        }
        ages
    }
}

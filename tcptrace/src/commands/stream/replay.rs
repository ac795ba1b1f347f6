//! `tcptrace stream --replay`.

use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

use anyhow::Result;

use crate::commands::log;
use crate::commands::notices::warn;
use crate::commands::outcome::Outcome;
use crate::commands::plan::{Format, StreamPlan};
use crate::commands::replay::events::{Recorded, check_filter};
use crate::commands::replay::inodes;
use crate::commands::watch::nanos;
use crate::kernel::privilege::{Work, keep_for};
use crate::lifecycle::filter::Filter;
use crate::lifecycle::stream::{Frame, Summary};

use super::lines::lines;
use super::loss::closing_words;
use super::trace::Trace;

/// Shows the transitions of a recording.
///
/// # Errors
///
/// What failed, in one sentence.
pub fn run(plan: &StreamPlan, path: &Path, out: &mut dyn Write) -> Result<Outcome> {
    log::to_stderr(plan.verbosity);
    check_filter(&plan.filter)?;
    let filter = Filter { netns: inodes(&plan.netns)?, ..plan.filter.clone() };
    let duration_ns = plan.until.elapsed().map(nanos);
    let mut recorded = Recorded::open(path, duration_ns, || keep_for(Work::Replay))?;
    let began = recorded.began_ns();
    let wall_offset_ns = recorded.events.wall_offset_ns();
    let frame = Frame { started_ns: began, wall_offset_ns };
    let mut trace = Trace::new(frame, filter, lines(plan), HashSet::new());
    trace.begin(out)?;
    let (mut events, mut last_ns) = (0, began);
    while let Some(transition) = recorded.transition()? {
        events += 1;
        last_ns = last_ns.max(transition.record.time_ns);
        trace.replay(&transition, recorded.events.wall_offset_ns(), out)?;
    }
    let (shown, odd) = trace.shown_and_odd();
    let summary = Summary {
        time_ns: last_ns.saturating_add(recorded.events.wall_offset_ns()),
        kernel: recorded.events.header().kernel.clone(),
        traced_ns: last_ns - began,
        events,
        shown,
        odd,
        lost: recorded.events.lost().to_vec(),
        degradations: recorded.lacks,
    };
    if plan.output.format == Format::Table {
        warn(&closing_words(&summary));
    }
    trace.end(&summary, out)?;
    Ok(Outcome::Done)
}

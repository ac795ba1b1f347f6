//! `tcptrace leaks`.

use std::io::Write;

use anyhow::{Context as _, Result};
use jiff::tz::TimeZone;
use tcptrace_common::tcp::state;
use tokio::time::Instant;

use crate::kernel::hooks::Group;
use crate::kernel::host::Host;
use crate::kernel::load::Wish;
use crate::kernel::privilege::{Work, keep_for};
use crate::lifecycle::by::By;
use crate::output::{self, Output};

use super::color;
use super::live::Live;
use super::log;
use super::look::Ask;
use super::notices::warn;
use super::outcome::Outcome;
use super::plan::{Format, LeaksPlan, Until};
use super::scope::resolve;
use super::stop::Stop;
use super::watch::{Watch, nanos};

/// Runs until the plan says stop.
///
/// # Errors
///
/// What failed, in one sentence.
pub async fn run(plan: &LeaksPlan, out: &mut dyn Write) -> Result<Outcome> {
    let filter = resolve(&plan.filter, &plan.netns)?;
    let mut stop = Stop::new(plan.until)?;
    log::to_stderr(plan.verbosity);
    let host = Host::look();
    let ask = Ask {
        netns: filter.netns.clone(),
        sees_all_processes: host.in_initial_pid_namespace,
        min_age_ns: nanos(plan.min_age),
    };
    let kernel = log::load(&host, &wish(plan))?;
    keep_for(Work::Leaks)?;
    let (live, mut notices) = Live::start(kernel, &host, ask)?;
    notices.say();
    if plan.until != Until::Once {
        warn(&announcement(plan));
    }
    let mut watch = Watch::new(plan, filter, live, notices, &host.release);
    let mut output = renderer(plan);
    let leaks = follow(plan, &mut watch, &mut stop, output.as_mut(), out).await?;
    Ok(if plan.exit_code && leaks > 0 { Outcome::Found } else { Outcome::Done })
}

/// Records of sockets that leave CLOSE_WAIT late are all that this command wants to hear of:
/// reports come from snapshots.
fn wish(plan: &LeaksPlan) -> Wish {
    Wish {
        record_states: 1 << state::CLOSE_WAIT,
        record_min_dwell_ns: nanos(plan.min_age),
        budget: plan.budget,
        verbosity: plan.verbosity,
        groups: if plan.stacks { Group::LEAKS_AND_STACKS } else { Group::LEAKS }.to_vec(),
        ..Wish::default()
    }
}

fn announcement(plan: &LeaksPlan) -> String {
    match plan.output.format.follows() {
        true => format!("tracing; a report every {:?}, Ctrl-C for the last one", plan.interval),
        false => "tracing; Ctrl-C for the answer".to_owned(),
    }
}

/// What prints the reports.
pub fn renderer(plan: &LeaksPlan) -> Box<dyn Output> {
    let folding = output::Folding { weight: plan.weight, native: plan.native };
    match plan.output.format {
        Format::Json => Box::new(output::Json),
        Format::Folded => Box::new(output::Folded(folding)),
        Format::Svg => Box::new(output::Svg(folding)),
        Format::Table => Box::new(output::Table::new(style(plan))),
    }
}

fn style(plan: &LeaksPlan) -> output::Style {
    let limit = |limit| if plan.output.wide { usize::MAX } else { limit };
    output::Style {
        width: limit(output::Style::DEFAULT_WIDTH),
        rows: plan.by == By::None,
        frames: limit(output::Style::DEFAULT_FRAMES),
        native: plan.native,
        stacks: plan.stacks,
        color: color::is_wanted(plan.output.color),
        zone: TimeZone::system(),
    }
}

/// Reports now, each interval, and at the end. Returns how many leaks the last report has.
async fn follow(
    plan: &LeaksPlan,
    watch: &mut Watch<'_, Live>,
    stop: &mut Stop,
    output: &mut dyn Output,
    out: &mut dyn Write,
) -> Result<usize> {
    let mut next = Instant::now();
    stop.count_from(next);
    loop {
        let report = watch.report()?.context("the kernel gave no answer")?;
        watch.notices.say();
        let is_last = stop.is_due();
        if is_last || plan.output.format.follows() {
            let written = output.write(&report, out).and_then(|()| out.flush());
            written.context("cannot write the report")?;
        }
        if is_last {
            return Ok(report.leaks());
        }
        next = (next + plan.interval).max(Instant::now());
        watch.wait(next, stop).await?;
    }
}

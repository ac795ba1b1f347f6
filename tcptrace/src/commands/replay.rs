//! `tcptrace leaks --replay`, and what all replays share.

pub mod events;

use std::io::{Read, Write};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::kernel::privilege::{Work, keep_for};
use crate::lifecycle::filter::{Filter, NetnsSpec};
use crate::lifecycle::report::{Degradation, Report};
use crate::source::recording::{Header, Reader, State, file};
use crate::source::replay::{Ask, Replay};

use super::leaks::renderer;
use super::log;
use super::notices::Notices;
use super::outcome::Outcome;
use super::plan::{LeaksPlan, Until};
use super::watch::{Watch, nanos};

/// Makes the reports that `leaks` would have made where and when the recording was made.
///
/// # Errors
///
/// What failed, in one sentence.
pub fn run(plan: &LeaksPlan, path: &Path, out: &mut dyn Write) -> Result<Outcome> {
    log::to_stderr(plan.verbosity);
    let (reader, soundness) = file::open(path, || keep_for(Work::Replay))?;
    let shown = path.display().to_string();
    if soundness.looks == 0 {
        bail!("{shown} has no look in it: whoever recorded it was stopped before the first");
    }
    let mut lacks: Vec<Degradation> = cut(soundness.state).into_iter().collect();
    let mut plan = plan.clone();
    if plan.stacks && !reader.header.stacks {
        plan.stacks = false;
        lacks.push(lack("recording-without-stacks", "no stacks were recorded"));
    }
    let mut own = Notices::default();
    own.add_all(&lacks);
    own.say();
    let notices = Notices::of_recording(&lacks);
    let mut output = renderer(&plan);
    let leaks = replay(&plan, Opened { reader, shown, lacks, notices }, &mut |report| {
        let written = output.write(report, out).and_then(|()| out.flush());
        written.context("cannot write the report")
    })?;
    Ok(if plan.exit_code && leaks > 0 { Outcome::Found } else { Outcome::Done })
}

/// A recording that can be read.
struct Opened<R> {
    reader: Reader<R>,
    /// Its name.
    shown: String,
    /// What it lacks.
    lacks: Vec<Degradation>,
    /// What of its host will be said.
    notices: Notices,
}

/// Prints what the plan asks for. Returns how many leaks the last report has.
fn replay(
    plan: &LeaksPlan,
    recording: Opened<impl Read>,
    print: &mut dyn FnMut(&Report) -> Result<()>,
) -> Result<usize> {
    let Opened { reader, shown, lacks, notices } = recording;
    let filter = Filter { netns: inodes(&plan.netns)?, ..plan.filter.clone() };
    let ask = Ask {
        min_age_ns: nanos(plan.min_age),
        netns: filter.netns.clone(),
        interval_ns: interval(plan, &reader.header)?,
        duration_ns: plan.until.elapsed().map(nanos),
    };
    let release = reader.header.kernel.clone();
    let mut watch = Watch::new(plan, filter, Replay::new(reader, ask, lacks), notices, &release);
    let mut last: Option<Report> = None;
    while let Some(report) = watch.report().map_err(|error| anyhow!("{shown}: {error:#}"))? {
        watch.notices.say();
        let is_last = plan.until == Until::Once;
        if is_last || plan.output.format.follows() {
            print(&report)?;
        }
        if is_last {
            return Ok(report.leaks());
        }
        last = Some(report);
    }
    let last = last.with_context(|| format!("{shown} has no look in this time"))?;
    if !plan.output.format.follows() {
        print(&last)?;
    }
    Ok(last.leaks())
}

/// The network namespaces that the user names. A file or a process of this host says nothing of the
/// one that was recorded.
///
/// # Errors
///
/// When one is named otherwise than by its number.
pub fn inodes(named: &[NetnsSpec]) -> Result<Vec<u32>> {
    let inode = |spec: &NetnsSpec| match spec {
        NetnsSpec::Inode(inode) => Ok(*inode),
        NetnsSpec::Path(_) | NetnsSpec::Pid(_) => {
            bail!("--netns with --replay: write the inode number that reports of it show")
        }
    };
    named.iter().map(inode).collect()
}

/// Time from one report to the next, ns; 0: as it was recorded.
fn interval(plan: &LeaksPlan, header: &Header) -> Result<u64> {
    let Some(asked) = plan.replay.as_ref().and_then(|replay| replay.interval) else { return Ok(0) };
    let recorded = std::time::Duration::from_nanos(header.interval_ns);
    if asked < recorded {
        bail!("--interval {asked:?}: the recording has a look every {recorded:?} only");
    }
    Ok(nanos(asked))
}

/// What is lacking at the end of a recording.
#[must_use]
pub fn cut(state: State) -> Option<Degradation> {
    const ENDED: &str = "the recording was not ended properly";
    let sentence = match state {
        State::Ended => return None,
        State::Unended => format!("{ENDED}; all that it has is read"),
        State::Cut(bytes) => {
            format!("{ENDED}; its last {bytes} bytes, which are not whole, are left out")
        }
    };
    Some(lack("recording-cut", &sentence))
}

fn lack(token: &'static str, sentence: &str) -> Degradation {
    Degradation { token: token.into(), sentence: sentence.to_owned() }
}

#[cfg(test)]
mod tests;

//! `tcptrace stream`.

mod lines;
mod loss;
mod replay;
mod trace;

use std::collections::HashSet;
use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::kernel::filter::KernelFilter;
use crate::kernel::hooks::Group;
use crate::kernel::host::Host;
use crate::kernel::load::{CensusWish, Kernel, Wish};
use crate::kernel::privilege::{Work, keep_for};
use crate::kernel::ring::Ring;
use crate::lifecycle::filter::Filter;
use crate::lifecycle::socket::State;
use crate::lifecycle::stream::Frame;
use crate::process::descendants::with_descendants;

use super::clock::monotonic_ns;
use super::held::held;
use super::log;
use super::notices::{Notices, warn};
use super::outcome::Outcome;
use super::plan::{Format, StreamPlan};
use super::scope::resolve;
use super::stop::Stop;

use lines::lines;
use loss::LossWatch;
use trace::{Taken, Trace};

/// After records have come no wake-up is waited for during this time: the kernel wakes only a
/// reader that has caught up, so a flood costs it hardly any, and a person notices no delay.
const PAUSE: Duration = Duration::from_millis(5);
/// How often losses are looked for when nothing comes.
const TICK: Duration = Duration::from_secs(1);
/// How often a family is looked through at most: one that has children all the time is never complete, and
/// is followed by a hook from then on.
const GENERATIONS: usize = 8;
/// How long the end may wait for the ring to run dry.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs until the plan says stop.
///
/// # Errors
///
/// What failed, in one sentence.
pub async fn run(plan: &StreamPlan, out: &mut dyn Write) -> Result<Outcome> {
    if let Some(path) = &plan.replay {
        return replay::run(plan, path, out);
    }
    let mut filter = resolve(&plan.filter, &plan.netns)?;
    let mut stop = Stop::new(plan.until)?;
    log::to_stderr(plan.verbosity);
    let host = Host::look();
    let started_ns = monotonic_ns();
    let wish = wish(plan, &filter);
    let is_about_processes = filter.is_about_processes();
    if plan.children {
        // The kernel side follows children from their birth; /proc forgets them at their end.
        filter.pids.clear();
    }
    let mut kernel = log::load(&host, &wish)?;
    let asked = match plan.children {
        true => complete_family(&mut kernel, &plan.filter.pids, wish.filter.pids)?,
        false => wish.filter.pids,
    };
    let reads_proc = filter.needs_process_details();
    keep_for(if reads_proc { Work::StreamOfPlaces } else { Work::Stream })?;
    let held = match is_about_processes {
        true => held(&mut kernel, &filter, &asked)?,
        false => HashSet::new(),
    };
    kernel.let_through(&held)?;
    let mut ring = kernel.ring()?;
    let mut notices = Notices::of(&host, &kernel);
    notices.say();
    let frame = Frame { started_ns, ..Frame::default() };
    let mut trace = Trace::new(frame, filter, lines(plan), held);
    warn("tracing; Ctrl-C to stop");
    stop.count_from(Instant::now());
    follow(&mut trace, &mut kernel, &mut ring, &mut stop, out).await?;
    let summary = trace.summary(&host.release, &kernel.counters()?, notices.all());
    if plan.output.format == Format::Table {
        warn(&loss::closing_words(&summary));
    }
    trace.end(&summary, out)?;
    Ok(Outcome::Done)
}

/// The kernel side applies what it can of the filter, so that the rest of the host costs no records.
fn wish(plan: &StreamPlan, filter: &Filter<State>) -> Wish {
    let mut groups = vec![Group::Life, Group::Openers];
    if plan.mini_sockets {
        groups.push(Group::MiniSockets);
    }
    if filter.is_about_processes() {
        groups.push(Group::Census);
    }
    let mut in_kernel = KernelFilter { either_state: true, ..KernelFilter::of(filter) };
    if plan.children {
        groups.push(Group::Children);
        in_kernel.pids = with_descendants(&filter.pids);
    }
    Wish {
        record_states: State::bits(&filter.states),
        follow: true,
        budget: plan.budget,
        verbosity: plan.verbosity,
        groups,
        census: CensusWish { states: State::bits(&[]), memory: false },
        filter: in_kernel,
        ..Wish::default()
    }
}

/// Asks for those too that were born while the programs were loaded: in `/proc` they were not yet when the
/// `known` ones were, and no hook saw their birth. Returns all of them.
fn complete_family(kernel: &mut Kernel, pids: &[u32], known: Vec<u32>) -> Result<Vec<u32>> {
    let mut family = known;
    // A process that was not known may have children while it is looked for.
    for _ in 0..GENERATIONS {
        let mut born = with_descendants(pids);
        born.retain(|pid| !family.contains(pid));
        if born.is_empty() {
            break;
        }
        kernel.ask_for(&born)?;
        family.extend(born);
    }
    Ok(family)
}

/// Shows what comes until it is time to stop, and then what is still in the ring.
async fn follow(
    trace: &mut Trace,
    kernel: &mut Kernel,
    ring: &mut Ring,
    stop: &mut Stop,
    out: &mut dyn Write,
) -> Result<()> {
    let mut losses = LossWatch::new();
    trace.begin(out)?;
    loop {
        let taken = trace.take_up(ring, out)?;
        losses.look(kernel)?;
        kernel.tend()?;
        if stop.is_due() {
            break;
        }
        tokio::select! {
            biased;
            () = stop.wait() => {}
            () = yield_now(), if taken == Taken::More => {}
            () = sleep(PAUSE), if taken == Taken::All => {}
            ready = ring.ready(), if taken == Taken::Nothing => ready?,
            () = sleep(TICK), if taken == Taken::Nothing => {}
        }
    }
    kernel.settle_ends()?;
    let end = Instant::now() + LAST_WORDS;
    while trace.take_up(ring, out)? != Taken::Nothing && Instant::now() < end {}
    Ok(())
}

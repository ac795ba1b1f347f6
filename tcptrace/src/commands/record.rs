//! `tcptrace record`.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use tokio::time::Instant;

use crate::kernel::hooks::{Group, Status};
use crate::kernel::host::Host;
use crate::kernel::load::{CensusWish, Wish};
use crate::kernel::privilege::{Work, keep_for};
use crate::lifecycle::look::Sight;
use crate::lifecycle::socket::State;
use crate::source::Source as _;
use crate::source::recording::header::HostFacts;
use crate::source::recording::{Header, Writer, file};

use super::clock::{monotonic_ns, wall_offset_ns};
use super::live::{self, Live};
use super::log;
use super::look::Ask;
use super::notices::{Notices, warn};
use super::outcome::{Outcome, is_closed_pipe};
use super::plan::RecordPlan;
use super::stop::Stop;
use super::watch::nanos;

/// Records until the plan says stop.
///
/// # Errors
///
/// What failed, in one sentence.
pub async fn run(plan: &RecordPlan, out: &mut dyn Write) -> Result<Outcome> {
    if let Some(path) = &plan.file {
        file::check_place(path, plan.force)?;
    }
    let mut stop = Stop::new(plan.until)?;
    log::to_stderr(plan.verbosity);
    let host = Host::look();
    // Every leak, however young and wherever: what is wanted of them is decided later.
    let ask =
        Ask { netns: Vec::new(), sees_all_processes: host.in_initial_pid_namespace, min_age_ns: 0 };
    let kernel = log::load(&host, &wish(plan))?;
    // Made when hardly anything else can fail any more, so that no empty file is left behind.
    let mut file = match &plan.file {
        Some(path) => Some(file::create(path, plan.force)?),
        None => None,
    };
    keep_for(Work::Record)?;
    let (live, mut notices) = Live::start(kernel, &host, ask)?;
    notices.say();
    let out: &mut dyn Write = file.as_mut().map_or(out, |file| file);
    let name = plan.file.as_deref().unwrap_or(Path::new("standard output")).display().to_string();
    let cannot_write = |error| not_a_closed_pipe(error).context(format!("cannot write {name}"));
    let writer = Writer::begin(out, &header(plan, &host, &live));
    let writer = writer.map_err(|error| cannot_write(error.into()))?;
    warn(&format!("tracing and recording; a look every {:?}, Ctrl-C ends it", plan.interval));
    let recorder = Recorder { live, notices, tape: writer };
    recorder.run(plan, &mut stop, &name).await.map_err(cannot_write)?;
    Ok(Outcome::Done)
}

/// A reader that goes away (`record - | ssh …`) has lost the recording, where one of another output
/// (`| head`) has had enough.
fn not_a_closed_pipe(error: anyhow::Error) -> anyhow::Error {
    match is_closed_pipe(&error) {
        true => anyhow!("whoever read it has gone; the recording ends there"),
        false => error,
    }
}

/// Every transition, and what reports of leaks need.
fn wish(plan: &RecordPlan) -> Wish {
    let leaks = if plan.stacks { Group::LEAKS_AND_STACKS } else { Group::LEAKS };
    Wish {
        record_states: u64::MAX,
        follow: true,
        budget: plan.budget,
        verbosity: plan.verbosity,
        groups: [leaks, &[Group::MiniSockets, Group::Census]].concat(),
        census: CensusWish { states: State::bits(&[]), memory: true },
        ..Wish::default()
    }
}

fn header(plan: &RecordPlan, host: &Host, live: &Live) -> Header {
    let kernel = live.kernel();
    let status = |status: &Status| match status {
        Status::Attached => "attached".to_owned(),
        Status::Fallback { point, detail } => format!("{point}, {detail}"),
        Status::Missing(reason) => format!("missing: {reason}"),
    };
    let hooks = kernel.hooks.iter().map(|(hook, own)| (hook.name.to_owned(), status(own)));
    let started_ns = monotonic_ns();
    Header {
        kernel: host.release.clone(),
        interval_ns: nanos(plan.interval),
        stacks: live.takes_stacks(),
        host: HostFacts {
            lockdown: host.lockdown.clone(),
            sees_all_processes: host.in_initial_pid_namespace,
            hooks: hooks.collect(),
            absent_fields: kernel.absent_fields.clone(),
        },
        ..Header::new(started_ns + wall_offset_ns(), started_ns)
    }
}

struct Recorder<'a> {
    live: Live,
    notices: Notices,
    tape: Writer<&'a mut dyn Write>,
}

impl Recorder<'_> {
    async fn run(mut self, plan: &RecordPlan, stop: &mut Stop, name: &str) -> Result<()> {
        self.census()?;
        self.follow(plan, stop).await?;
        self.finish(name)
    }

    /// Looks now, each interval, and at the end.
    async fn follow(&mut self, plan: &RecordPlan, stop: &mut Stop) -> Result<()> {
        let mut next = Instant::now();
        stop.count_from(next);
        loop {
            self.look()?;
            self.notices.say();
            if stop.is_due() {
                return Ok(());
            }
            next = (next + plan.interval).max(Instant::now());
            let Self { live, tape, .. } = self;
            live.wait(next, stop, |own| Ok(tape.event(&own.record)?)).await?;
        }
    }

    /// Who is there, so that a replay knows which sockets are still in a state.
    fn census(&mut self) -> Result<()> {
        let Self { live, tape, .. } = self;
        tape.begin_census()?;
        let mut written = Ok(());
        live.census(&mut |told| match told {
            live::Told::Transition(own) => keep(&mut written, tape.event(&own.record)),
            live::Told::Counted(sockets) => {
                let each = sockets.iter().try_for_each(|own| tape.counted(own));
                keep(&mut written, each);
            }
        })?;
        written?;
        Ok(tape.end_census(monotonic_ns())?)
    }

    fn look(&mut self) -> Result<()> {
        let Self { live, tape, .. } = self;
        live.settle_ends()?;
        let mut written = Ok(());
        let sight = live.look(&mut |own| keep(&mut written, tape.event(&own.record)))?;
        let Sight { look, findings } = sight.context("the kernel gave no answer")?;
        let mut leaks = findings.leaks;
        live.name(&mut leaks, &mut |own| keep(&mut written, tape.event(&own.record)))?;
        written?;
        if !tape.look(&look, &leaks)? {
            let sentence = "there are more leaks than a recording can hold; a look is left out";
            self.notices.add("look-too-large", sentence);
            live.lacks(self.notices.all());
        }
        Ok(())
    }

    /// Takes up what has come since the last look, and ends the recording.
    fn finish(mut self, name: &str) -> Result<()> {
        self.census()?;
        let Self { live, tape, .. } = &mut self;
        live.settle_ends()?;
        let mut written = Ok(());
        live.drain(|own| keep(&mut written, tape.event(&own.record)));
        written?;
        let lost = live.losses()?;
        let (totals, bytes) = self.tape.finish()?;
        warn(&format!(
            "recorded to {name}: {} events, {} looks, {bytes} bytes; {}",
            totals.events,
            totals.looks,
            losses(&lost)
        ));
        Ok(())
    }
}

/// `0 lost`, `3 lost (ring_full 2, stack_lost 1)`.
fn losses(lost: &[(Cow<'static, str>, u64)]) -> String {
    let total: u64 = lost.iter().map(|(_, count)| count).sum();
    let some = lost.iter().filter(|(_, count)| *count > 0);
    let reasons: Vec<String> = some.map(|(token, count)| format!("{token} {count}")).collect();
    match total {
        0 => "0 lost".to_owned(),
        _ => format!("{total} lost ({})", reasons.join(", ")),
    }
}

/// Keeps the first error.
fn keep(first: &mut io::Result<()>, result: io::Result<()>) {
    if first.is_ok() {
        *first = result;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_loss_is_told_with_its_reason() {
        let lost = |counts: [u64; 3]| {
            let tokens = ["ring_full", "memory_full", "stack_lost"].map(Cow::from);
            losses(&tokens.into_iter().zip(counts).collect::<Vec<_>>())
        };
        assert_eq!(lost([0, 0, 0]), "0 lost");
        assert_eq!(lost([2, 0, 1]), "3 lost (ring_full 2, stack_lost 1)");
    }
}

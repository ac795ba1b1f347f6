//! What programs that are attached leave of the throughput, told apart by points: one load, and the
//! programs attached and taken off again several times a second.
//!
//! On a shared machine one run of a load differs from the next by ten points and more, because what
//! the neighbours do changes within seconds. Here each slice with programs attached lies between two
//! without, a fraction of a second away, and hundreds of them are averaged. The programs are those that
//! the tool loaded, with the settings it gave them; its process is gone by then, so that what it uses
//! itself is not in the figures.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use tcptrace_tests::load::{self, Meter};
use tcptrace_tests::netns::NetPair;

use crate::attach::Hooks;
use crate::contender::{self, Contender, Running};
use crate::empty::Empty;
use crate::scratch::Scratch;

/// From a change to the time that counts: attaching stops the CPUs for moments.
const SETTLE: Duration = Duration::from_millis(10);

/// How much of it.
#[derive(Clone, Debug, Parser)]
pub struct Options {
    /// Rounds; each loads the programs anew, and has a load of its own
    #[arg(long, default_value_t = 8)]
    rounds: usize,
    /// Slices of each contender in a round, each between two of nothing
    #[arg(long, default_value_t = 120)]
    slices: usize,
    /// Milliseconds of a slice
    #[arg(long, default_value_t = 25)]
    millis: u64,
    /// Only contenders whose name begins so
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only programs on this tracepoint, to tell what each costs
    #[arg(long, value_name = "NAME")]
    point: Vec<String>,
}

/// One that is attached and taken off.
struct Candidate {
    name: &'static str,
    programs: Programs,
    /// Throughput of each slice against the mean of the slices before and after it.
    ratios: Vec<f64>,
}

enum Programs {
    Empty(Empty),
    Own(Hooks),
}

impl Programs {
    fn attach(&self) -> Result<Vec<OwnedFd>> {
        match self {
            Self::Empty(empty) => Ok(vec![empty.attach()?]),
            Self::Own(hooks) => hooks.attach(),
        }
    }
}

/// Measures and prints the table.
pub fn run(options: &Options) -> Result<()> {
    see_tracefs().context("mount tracefs for this process alone")?;
    let mut all: BTreeMap<usize, (&str, Vec<f64>)> = BTreeMap::new();
    for _ in 0..options.rounds {
        let mut candidates = chosen(options)?;
        load::run_while(|_| Ok(()), |meter| measure(options, meter, &mut candidates))?;
        for (place, Candidate { name, ratios, .. }) in candidates.into_iter().enumerate() {
            all.entry(place).or_insert((name, Vec::new())).1.extend(ratios);
        }
    }
    println!("| attached | throughput against nothing attached | standard error |\n|---|---|---|");
    for (name, ratios) in all.values() {
        let (mean, error) = mean(ratios);
        println!("| {name} | {:.1} % | {:.1} |", mean * 100.0, error * 100.0);
    }
    Ok(())
}

/// Numbers of tracepoints are in tracefs, which may not be mounted and stays so for everybody else.
fn see_tracefs() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(none, "/sys/kernel/tracing", Some("tracefs"), MsFlags::empty(), none)?;
    Ok(())
}

/// Those that are asked for, loaded.
fn chosen(options: &Options) -> Result<Vec<Candidate>> {
    let (dir, ns) = (Scratch::new()?, NetPair::new()?);
    let mut candidates = Vec::new();
    for contender in contender::named(&options.only) {
        if let Some(programs) = loaded(contender, &options.point, &ns, &dir)? {
            candidates.push(Candidate { name: contender.name, programs, ratios: Vec::new() });
        }
    }
    ensure!(!candidates.is_empty(), "no contender of such a name");
    Ok(candidates)
}

/// `None` where the programs need their process.
fn loaded(
    contender: &Contender,
    points: &[String],
    ns: &NetPair,
    dir: &Scratch,
) -> Result<Option<Programs>> {
    if contender.is_empty() {
        return Ok(Some(Programs::Empty(Empty::load()?)));
    }
    if !contender.works_alone() {
        return Ok(None);
    }
    let Running::Process(process) = contender.start(&ns.a, &dir.0)? else { return Ok(None) };
    let hooks = Hooks::of_process(process.pid(), points)?;
    process.stop()?;
    Ok(Some(Programs::Own(hooks)))
}

fn measure(options: &Options, meter: &Meter, candidates: &mut [Candidate]) -> Result<()> {
    let time = Duration::from_millis(options.millis);
    let mut before = slice(meter, time);
    for _ in 0..options.slices {
        for candidate in &mut *candidates {
            let attached = candidate.programs.attach()?;
            let with = slice(meter, time);
            drop(attached);
            let after = slice(meter, time);
            candidate.ratios.push(2.0 * with / (before + after));
            before = after;
        }
    }
    Ok(())
}

/// Connections a second, in this time from now on.
fn slice(meter: &Meter, time: Duration) -> f64 {
    sleep(SETTLE);
    let (begun, connections) = (Instant::now(), meter.connections());
    sleep(time);
    (meter.connections() - connections) as f64 / begun.elapsed().as_secs_f64()
}

/// The mean and its standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (count - 1.0).max(1.0) / count).sqrt())
}

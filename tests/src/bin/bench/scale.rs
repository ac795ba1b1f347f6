//! Many open sockets: what a look at them costs, and what remembering them costs.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde_json::Value;
use tcptrace_tests::footprint::{Footprint, cpu_ms};
use tcptrace_tests::netns::{NetPair, Netns};
use tcptrace_tests::scenario::Scenario;
use tcptrace_tests::tool::{self, Running};

use crate::table::median;

/// Sockets of a process: fewer than the descriptors that most hosts let it have.
const PER_PROCESS: usize = 16_000;
/// How long the sockets are left alone while the tool traces.
const IDLE: Duration = Duration::from_secs(5);

/// What is asked of the tool; each prints a summary with the number of sockets last.
const LOOKS: [(&str, &[&str]); 4] = [
    ("leaks --once", &["leaks", "--once", "-o", "json"]),
    ("states", &["states", "-o", "json"]),
    ("states --by remote", &["states", "-o", "json", "--by", "remote", "--top", "20"]),
    ("states --by process", &["states", "-o", "json", "--by", "process", "--top", "20"]),
];

/// How much of it.
#[derive(Clone, Debug, Parser)]
pub struct Options {
    /// How many sockets; both ends of each connection count
    #[arg(default_values_t = [0, 100_000, 1_000_000])]
    sockets: Vec<usize>,
    /// How often each look is repeated
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// In one network namespace, instead of four
    #[arg(long)]
    one_namespace: bool,
}

/// What so many sockets cost.
struct Row {
    sockets: usize,
    /// Wall and CPU time of each of [`LOOKS`], ms.
    looks: [[f64; 2]; LOOKS.len()],
    kept: Kept,
}

/// What a tool uses that has seen all of them begin.
struct Kept {
    footprint: Footprint,
    /// CPU time of it while nothing happened, per second, ms.
    idle_ms: f64,
}

/// Measures and prints a table.
pub fn run(options: &Options) -> Result<()> {
    let heads = LOOKS.map(|(name, _)| format!(" {name}, wall / CPU ms |")).concat();
    println!("| sockets |{heads} maps, MiB | resident, MiB | idle, ms of CPU a second |");
    println!("|---|{}---|---|---|", "---|".repeat(LOOKS.len()));
    for sockets in &options.sockets {
        println!("{}", shown(&measure(*sockets, options)?));
    }
    Ok(())
}

fn measure(sockets: usize, options: &Options) -> Result<Row> {
    let pairs = [NetPair::new()?, NetPair::new()?];
    let all: Vec<&Netns> = pairs.iter().flat_map(NetPair::both).collect();
    let places = if options.one_namespace { &all[..1] } else { &all[..] };
    let mut tracing = tool::command(&["leaks", "--interval", "1h"])?;
    tracing.stdout(Stdio::null());
    let tracer = Running::start(tracing)?;
    tracer.wait_tracing()?;
    let _crowds = open(sockets, places)?;
    let kept = kept(tracer.pid())?;
    drop(tracer);
    let mut looks = [[0.0; 2]; LOOKS.len()];
    for (figures, (name, line)) in looks.iter_mut().zip(LOOKS) {
        let runs: Result<Vec<[f64; 2]>> = (0..options.runs).map(|_| look(line, sockets)).collect();
        let runs = runs.with_context(|| name)?;
        let middle = |which| median(runs.iter().map(|run: &[f64; 2]| run[which]).collect());
        *figures = [middle(0).unwrap_or_default(), middle(1).unwrap_or_default()];
    }
    Ok(Row { sockets, looks, kept })
}

/// Processes with so many sockets together.
fn open(sockets: usize, places: &[&Netns]) -> Result<Vec<Scenario>> {
    let processes = sockets.div_ceil(PER_PROCESS).max(places.len());
    // A connection has two ends.
    let share = sockets.div_ceil(2 * processes).to_string();
    let spawn =
        |index: usize| Scenario::spawn(places[index % places.len()], &["crowd", "--count", &share]);
    let crowds: Result<Vec<Scenario>> = (0..processes).map(spawn).collect();
    let crowds = crowds?;
    crowds.iter().try_for_each(|crowd| crowd.fact_within(OPENING, "ready").map(drop))?;
    Ok(crowds)
}

/// A million take a minute.
const OPENING: Duration = Duration::from_secs(300);

fn kept(pid: u32) -> Result<Kept> {
    let begun = cpu_ms(pid)?;
    std::thread::sleep(IDLE);
    let idle_ms = (cpu_ms(pid)? - begun) / IDLE.as_secs_f64();
    Ok(Kept { footprint: Footprint::of(pid)?, idle_ms })
}

/// One run of the tool: wall and CPU time of the whole process, ms.
fn look(line: &[&str], sockets: usize) -> Result<[f64; 2]> {
    let (started, cpu) = (Instant::now(), cpu_of_children()?);
    let output = tool::command(line)?.output()?;
    let (wall, cpu) = (started.elapsed(), cpu_of_children()?.saturating_sub(cpu));
    ensure!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    let summary: Value = serde_json::from_str(text.lines().last().context("empty")?)?;
    if let Some(counted) = summary["sockets"].as_u64() {
        ensure!(counted >= sockets as u64, "{counted} of {sockets} sockets");
    }
    Ok([wall, cpu].map(|time| time.as_secs_f64() * 1e3))
}

/// CPU time of the children that have ended.
fn cpu_of_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

fn shown(row: &Row) -> String {
    let looks = row.looks.map(|[wall, cpu]| format!(" {wall:.0} / {cpu:.0} |")).concat();
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let kept = &row.kept;
    format!(
        "| {} |{looks} {:.1} | {:.1} | {:.2} |",
        row.sockets,
        mib(kept.footprint.maps),
        mib(kept.footprint.resident),
        kept.idle_ms
    )
}

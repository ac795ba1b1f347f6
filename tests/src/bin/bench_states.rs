//! What `tcptrace states` costs: `bench_states [SOCKETS …]`, as root.
//!
//! For each number it opens that many sockets (connections over loopback, in four network
//! namespaces, by several processes), runs the tool several times for each `--by`, and prints medians:
//! the wall time of the whole process, and the CPU time that it took, which other load on the
//! machine does not stretch. The slope from the smallest to the largest number says what a million
//! costs. `TCPTRACE_BIN` names the tool.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use tcptrace_tests::netns::{NetPair, Netns};
use tcptrace_tests::scenario::Scenario;
use tcptrace_tests::tool;

/// How often each count is repeated.
const RUNS: usize = 9;
/// Sockets of a process: fewer than the descriptors that most hosts let it have.
const PER_PROCESS: usize = 16_000;
const DEFAULT: [usize; 3] = [0, 50_000, 100_000];
const WAYS: [&str; 4] = ["state", "local-port", "remote", "process"];

/// Wall and CPU time in ms of each of [`WAYS`].
type Times = [[f64; 2]; WAYS.len()];

fn main() -> Result<()> {
    let typed: Result<Vec<usize>, _> = std::env::args().skip(1).map(|word| word.parse()).collect();
    let typed = typed.context("bench_states [SOCKETS …]")?;
    let sizes = if typed.is_empty() { DEFAULT.to_vec() } else { typed };
    println!("wall / CPU ms");
    println!("{:>8}{}", "sockets", WAYS.map(|way| format!("{way:>18}")).concat());
    let mut measured = Vec::new();
    for size in sizes {
        let times = measure(size)?;
        println!("{size:>8}{}", shown(&times));
        measured.push((size, times));
    }
    if let [(few, low), .., (many, high)] = measured[..]
        && few < many
    {
        println!("{:>8}{}   by that slope", 1_000_000, shown(&at_a_million(few, low, many, high)));
    }
    Ok(())
}

fn measure(sockets: usize) -> Result<Times> {
    let pairs = [NetPair::new()?, NetPair::new()?];
    let places: Vec<&Netns> = pairs.iter().flat_map(NetPair::both).collect();
    let processes = sockets.div_ceil(PER_PROCESS).max(places.len());
    // A connection has two ends.
    let share = sockets.div_ceil(2 * processes).to_string();
    let crowds: Result<Vec<Scenario>> = (0..processes)
        .map(|index| Scenario::spawn(places[index % places.len()], &["crowd", "--count", &share]))
        .collect();
    let crowds = crowds?;
    crowds.iter().try_for_each(|crowd| crowd.fact("ready").map(drop))?;
    let mut times = Times::default();
    for (time, way) in times.iter_mut().zip(WAYS) {
        let runs: Result<Vec<[f64; 2]>> = (0..RUNS).map(|_| run(way, sockets)).collect();
        let runs = runs?;
        *time = [0, 1].map(|which| median(runs.iter().map(|run| run[which]).collect()));
    }
    Ok(times)
}

fn run(way: &str, sockets: usize) -> Result<[f64; 2]> {
    let mut command = tool::command(&["states", "-o", "json", "--by", way, "--top", "20"])?;
    let (started, cpu) = (Instant::now(), cpu_of_children()?);
    let output = command.output()?;
    let (wall, cpu) = (started.elapsed(), cpu_of_children()?.saturating_sub(cpu));
    ensure!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    let summary: serde_json::Value = serde_json::from_str(text.lines().last().context("empty")?)?;
    let counted = summary["sockets"].as_u64().context("no sockets")?;
    ensure!(counted >= sockets as u64, "{counted} of {sockets} sockets");
    Ok([wall, cpu].map(|time| time.as_secs_f64() * 1e3))
}

/// CPU time of the children that have ended.
fn cpu_of_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Ok(Duration::from_micros(u64::try_from(micros)?))
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn at_a_million(few: usize, low: Times, many: usize, high: Times) -> Times {
    let line = |low: f64, high: f64| low + (high - low) / (many - few) as f64 * (1e6 - few as f64);
    let mut times = low;
    for (time, high) in times.iter_mut().zip(high) {
        *time = [line(time[0], high[0]), line(time[1], high[1])];
    }
    times
}

fn shown(times: &Times) -> String {
    times.map(|[wall, cpu]| format!("{:>18}", format!("{wall:.0} / {cpu:.0}"))).concat()
}

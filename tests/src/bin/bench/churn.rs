//! Many short connections: what a tracer leaves of the throughput, and what it loses.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;

use crate::contender::{self, ALL, Contender, Running};
use crate::figures::{self, Figures};
use crate::scratch::Scratch;
use crate::stats::{self, Runs};
use crate::table;

/// From one run to the next: TIME_WAIT sockets of the last one go.
const PAUSE: Duration = Duration::from_millis(1500);

/// How much of it.
#[derive(Clone, Debug, Parser)]
pub struct Options {
    /// Rounds; each runs every contender once, with an untraced run before and after each
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of load in a run
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Only contenders whose name begins so
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self::parse_from(["churn"])
    }
}

/// All that is known of one contender.
pub struct Row {
    /// Which one.
    pub contender: Contender,
    /// Its runs, one a round.
    pub runs: Vec<Figures>,
    /// Throughput of each run against the mean of the untraced runs before and after it.
    pub ratios: Vec<f64>,
    /// Its programs in a run of their own, where the kernel timed them.
    pub programs: Vec<Runs>,
    /// Transitions in that run.
    pub transitions: u64,
}

/// Measures and prints the table.
pub fn run(options: &Options) -> Result<()> {
    let time = Duration::try_from_secs_f64(options.seconds).context("--seconds")?;
    let dir = Scratch::new()?;
    let mut rows = chosen(&options.only)?;
    for round in 0..options.rounds {
        let mut before = measure(&ALL[0], time, &dir)?;
        for row in &mut rows {
            let figures = measure(&row.contender, time, &dir)?;
            let after = measure(&ALL[0], time, &dir)?;
            let untraced = (before.load.rate() + after.load.rate()) / 2.0;
            row.ratios.push(figures.load.rate() / untraced);
            row.runs.push(figures);
            before = after;
            eprintln!("round {}: {}", round + 1, table::progress(row));
        }
    }
    for row in &mut rows {
        time_programs(row, time, &dir)?;
    }
    print!("{}", table::of(&rows));
    Ok(())
}

/// Those that are installed and asked for; says which are not.
fn chosen(only: &[String]) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for contender in contender::named(only).copied() {
        if contender.is_installed() {
            rows.push(Row {
                contender,
                runs: Vec::new(),
                ratios: Vec::new(),
                programs: Vec::new(),
                transitions: 0,
            });
        } else {
            eprintln!("{}: not installed here, left out", contender.name);
        }
    }
    ensure!(!rows.is_empty(), "no contender of such a name");
    Ok(rows)
}

fn measure(contender: &Contender, time: Duration, dir: &Scratch) -> Result<Figures> {
    let figures = figures::run(contender, time, &dir.0, |_| Ok(()))?;
    std::thread::sleep(PAUSE);
    Ok(figures)
}

/// A run more, in which the kernel times programs. Its throughput does not count.
fn time_programs(row: &mut Row, time: Duration, dir: &Scratch) -> Result<()> {
    let _timed = stats::time_programs()?;
    let figures = figures::run(&row.contender, time, &dir.0, |running| {
        row.programs = match running {
            Running::Nothing => Vec::new(),
            Running::Empty(_) => stats::of_process(std::process::id())?,
            Running::Process(process) => stats::of_process(process.pid())?,
        };
        Ok(())
    })?;
    row.transitions = figures.load.connections * tcptrace_tests::load::TRANSITIONS;
    std::thread::sleep(PAUSE);
    Ok(())
}

//! Connections by the million: what the tool takes shall not grow with those that are over.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Parser;
use tcptrace_tests::footprint::Footprint;
use tcptrace_tests::load;
use tcptrace_tests::tool::{self, Running};

/// How often it is looked at.
const LOOKS: u32 = 12;

/// How much of it.
#[derive(Clone, Debug, Parser)]
pub struct Options {
    /// Minutes of load
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// The command that is watched, with its options
    #[arg(last = true, default_values = ["leaks", "--interval", "5s", "-o", "json"])]
    command: Vec<String>,
}

/// Runs it and prints a table.
pub fn run(options: &Options) -> Result<()> {
    let time = Duration::try_from_secs_f64(options.minutes * 60.0).context("--minutes")?;
    let mut command = tool::command(&options.command)?;
    command.stdout(std::process::Stdio::null());
    let tracer = Running::start(command)?;
    tracer.wait_tracing()?;
    println!("| after | resident, MiB | maps, MiB |");
    println!("|---|---|---|");
    let done = thread::scope(|scope| {
        let load = scope.spawn(|| load::run(time, |_| Ok(())));
        for look in 1..=LOOKS {
            thread::sleep(time / LOOKS);
            let footprint = Footprint::of(tracer.pid())?;
            let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            println!(
                "| {:.0} s | {:.1} | {:.1} |",
                (time * look / LOOKS).as_secs_f64(),
                mib(footprint.resident),
                mib(footprint.maps)
            );
        }
        load.join().map_err(|_| anyhow::anyhow!("the load panicked"))?
    })?;
    println!("{} connections, {:.0}/s", done.connections, done.rate());
    tracer.interrupt()?.expect_code(0)?;
    Ok(())
}

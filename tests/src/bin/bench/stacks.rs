//! What a stack costs the kernel: a server and its clients in CPython, two programs on two ends of a
//! cable.

use std::process::Command;

use anyhow::{Result, ensure};
use clap::Parser;
use tcptrace_common::counter::Counter;
use tcptrace_tests::bpf::counted;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::scenario::Scenario;
use tcptrace_tests::tool::Running;

use crate::stats::{self, Runs};
use crate::table::median;

/// Clients at once; the server is one.
const CLIENTS: u64 = 3;
/// Connections of each before anything is counted: by then the tool can walk these stacks.
const FIRST: u64 = 200;
/// The programs that take stacks, by the kernel's name, and what they are called here.
const TAKERS: [(&str, &str); 3] = [
    ("tcptrace_accept", "accept()"),
    ("tcptrace_open", "connect()"),
    ("tcptrace_eof", "end-of-file"),
];

/// How much of it.
#[derive(Clone, Debug, Parser)]
pub struct Options {
    /// Rounds; each runs it without stacks and with them
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Connections in a run
    #[arg(long, default_value_t = 24_000)]
    connections: u64,
}

/// What one run showed.
struct Sample {
    /// For each of [`TAKERS`], ns a run; `None`: it did not run.
    costs: [Option<f64>; 3],
    /// Of all stacks, how many were taken by their trail.
    by_trail: f64,
}

/// Measures and prints a table.
pub fn run(options: &Options) -> Result<()> {
    let _timed = stats::time_programs()?;
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for round in 1..=options.rounds {
        without.push(measure(options.connections, &["--no-stacks"])?);
        with.push(measure(options.connections, &[])?);
        eprintln!("round {round} of {}", options.rounds);
    }
    println!("| program | without stacks, ns a run | with stacks |");
    println!("|---|---|---|");
    for (index, (_, name)) in TAKERS.iter().enumerate() {
        let middle = |samples: &[Sample]| {
            let costs = samples.iter().filter_map(|sample| sample.costs[index]).collect();
            median(costs).map_or_else(|| "–".to_owned(), |cost| format!("{cost:.0}"))
        };
        println!("| {name} | {} | {} |", middle(&without), middle(&with));
    }
    let shares = with.iter().map(|sample| 100.0 * sample.by_trail).collect();
    println!("{:.1} % of the stacks by their trail", median(shares).unwrap_or_default());
    Ok(())
}

fn measure(connections: u64, options: &[&str]) -> Result<Sample> {
    let pair = NetPair::new()?;
    let tool = Running::leaks(options)?;
    let each = connections / CLIENTS;
    let address = pair.a.v4.to_string();
    let total = (CLIENTS * (FIRST + each)).to_string();
    let server = Scenario::start(&pair.a, python(include_str!("served.py"), &[&address, &total]))?;
    let port = server.fact("port")?;
    let (first, more) = (FIRST.to_string(), each.to_string());
    let arguments = [&*address, &*port, &*first, &*more];
    let call = || Scenario::start(&pair.b, python(include_str!("caller.py"), &arguments));
    let mut clients = (0..CLIENTS).map(|_| call()).collect::<Result<Vec<_>>>()?;
    called(&clients, &first)?;
    let before = stats::of_process(tool.pid())?;
    let stacks_before = stacks(&tool)?;
    clients.iter_mut().try_for_each(|client| client.tell("go on"))?;
    called(&clients, &more)?;
    let after = stats::of_process(tool.pid())?;
    let stacks_after = stacks(&tool)?;
    drop(clients);
    server.fact("served")?;
    let summary = tool.interrupt()?.expect_code(0)?.summary()?;
    ensure!(summary["lost"]["stack_lost"] == 0, "{summary}");
    let taken = (stacks_after.0 - stacks_before.0) as f64;
    Ok(Sample {
        costs: TAKERS.map(|(program, _)| cost(program, &before, &after)),
        by_trail: (stacks_after.1 - stacks_before.1) as f64 / taken.max(1.0),
    })
}

fn python(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.args(["-c", program]).args(arguments);
    command
}

fn called(clients: &[Scenario], count: &str) -> Result<()> {
    for client in clients {
        client
            .wait_facts("called", |counts| counts.iter().any(|one| one == count).then_some(()))?;
    }
    Ok(())
}

/// Stacks that were taken, and those of them that their trail told.
fn stacks(tool: &Running) -> Result<(u64, u64)> {
    Ok((counted(tool.pid(), Counter::Stacks)?, counted(tool.pid(), Counter::StackTrails)?))
}

/// What a run of a program took between two looks, ns.
fn cost(program: &str, before: &[Runs], after: &[Runs]) -> Option<f64> {
    let of = |all: &[Runs]| {
        let same = all.iter().filter(|runs| runs.name == program);
        same.fold((0, 0), |sum, runs| (sum.0 + runs.count, sum.1 + runs.time_ns))
    };
    let ((count_before, time_before), (count, time)) = (of(before), of(after));
    (count > count_before).then(|| (time - time_before) as f64 / (count - count_before) as f64)
}

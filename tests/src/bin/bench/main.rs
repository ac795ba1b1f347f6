//! What tcptrace costs, and what its peers cost, on this machine, now. As root; `TCPTRACE_BIN` names
//! the tool. `cargo xtask bench` builds it all and runs this.

use anyhow::Result;
use clap::{Parser, Subcommand};

mod attach;
mod churn;
mod contender;
mod empty;
mod figures;
mod scale;
mod scratch;
mod slices;
mod soak;
mod stacks;
mod stats;
mod table;

/// What tcptrace costs, against nothing, an empty program and its peers.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Many short connections: throughput, kernel time, CPU, memory, events lost (the default)
    Churn(churn::Options),
    /// Many short connections: throughput alone, to the point, programs attached and taken off
    Slices(slices::Options),
    /// Many open sockets: what a look at them costs, and what remembering them costs
    Scale(scale::Options),
    /// Connections by the million: whether the tool's memory stays what it is
    Soak(soak::Options),
    /// What a stack costs: a server and its clients in CPython
    Stacks(stacks::Options),
}

fn main() -> Result<()> {
    match Cli::parse().command {
        None => churn::run(&churn::Options::default()),
        Some(Command::Churn(options)) => churn::run(&options),
        Some(Command::Slices(options)) => slices::run(&options),
        Some(Command::Scale(options)) => scale::run(&options),
        Some(Command::Soak(options)) => soak::run(&options),
        Some(Command::Stacks(options)) => stacks::run(&options),
    }
}

//! What was typed. These types stop here: they are checked and converted into a plain
//! [`Plan`] before anything runs.

mod doctor;
mod exit;
mod filters;
mod hist;
mod leaks;
mod output;
mod record;
mod room;
mod state;
mod states;
mod stream;
mod value;

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};

pub use exit::{Exit, Stream};

use crate::commands::plan::{CheckPlan, Plan};
use output::{OutputArgs, TypedFormat};

/// Reads the command line, program name first.
///
/// # Errors
///
/// What to print instead of running: a usage error of one line, or the help that was asked for.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Plan, Exit> {
    let cli = Cli::try_parse_from(args).map_err(|error| Exit::from_clap(&error))?;
    Ok(match cli.command {
        Command::Leaks(typed) => Plan::Leaks(Box::new(typed.plan())),
        Command::Hist(typed) => Plan::Hist(Box::new(typed.plan()?)),
        Command::Stream(typed) => Plan::Stream(Box::new(typed.plan())),
        Command::States(typed) => Plan::States(Box::new(typed.plan())),
        Command::Record(typed) => Plan::Record(typed.plan()),
        Command::Doctor(typed) => Plan::Doctor(Box::new(typed.plan())),
        Command::Check(typed) => Plan::Check(typed.plan()),
    })
}

const ABOUT: &str = "\
Names every leaked TCP socket on a host: the process that holds it, and why.

A socket leaks when its peer has closed and this side has not (CLOSE_WAIT), or when the connection \
is over and a descriptor still holds it (dead; `ss` cannot see these). Needs root.";

const EXAMPLES: &str = "\
Examples:
  tcptrace leaks                    every leak older than 30s, until Ctrl-C
  tcptrace leaks --once -o json     one report as JSON Lines
  tcptrace hist --duration 1m       how long connections stay in each state
  tcptrace stream                   every state transition, as it happens
  tcptrace states --watch           how many sockets are in each state
  tcptrace record leaks.rec         save what happens, for leaks --replay leaks.rec
  tcptrace doctor                   what is wrong, what to change and what to leave alone
  tcptrace check                    what this host can do

Exit status: 0 done, 1 leaks or warnings found (with --exit-code), 2 usage or run-time error.";

#[derive(Debug, Parser)]
#[command(name = "tcptrace", version, about = ABOUT, after_help = EXAMPLES)]
#[command(max_term_width = 100, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Leaks(Box<leaks::LeaksArgs>),
    Hist(Box<hist::HistArgs>),
    Stream(Box<stream::StreamArgs>),
    States(Box<states::StatesArgs>),
    Record(record::RecordArgs),
    Doctor(Box<doctor::DoctorArgs>),
    Check(CheckArgs),
}

/// What this host can do: kernel, BTF, capabilities, and each hook with what a missing one costs
#[derive(Debug, Args)]
struct CheckArgs {
    #[command(flatten)]
    output: OutputArgs<TypedFormat>,
}

impl CheckArgs {
    fn plan(self) -> CheckPlan {
        CheckPlan { output: self.output.plan(false), verbosity: self.output.verbose }
    }
}

#[cfg(test)]
mod tests;

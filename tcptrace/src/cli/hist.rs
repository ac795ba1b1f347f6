//! `tcptrace hist` as typed.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::exit::Exit;
use super::filters::FilterArgs;
use super::output::{OutputArgs, TypedFormat};
use super::room::RoomArgs;
use super::value;
use crate::commands::plan::{HistPlan, Until};
use crate::lifecycle::dwell::key::By;
use crate::lifecycle::filter::Filter;
use crate::lifecycle::socket::State;

const ABOUT: &str = "\
How long sockets stay in each TCP state, from nanoseconds to days: count, min, mean, percentiles, \
max, and a picture on a common axis of time, in which longer is further to the right.

Dwells are counted in the kernel, so there is no ring buffer that a high rate could fill; lengths are \
within 2 %. A dwell whose beginning was not seen counts as unknown and not as 0. The answer comes at \
the end: with --duration, or with Ctrl-C.

--pid and --comm mean the process that opened the socket, whoever holds it; for a socket that was \
there before, a process that held it then (a recording does not tell). Names are looked up in a stream \
of all dwells; a notice says so. --cgroup and --container are refused: who opened a socket is known by \
pid and name alone. --state means the state that is left.";

const EXAMPLES: &str = "\
Examples:
  tcptrace hist                                  until Ctrl-C
  tcptrace hist --duration 1m --by local-port    which service keeps its sockets waiting
  tcptrace hist -s close-wait --by comm          who is slow to close
  tcptrace hist --interval 10s -o json           what happened in each 10 s, then the total
  tcptrace hist --duration 5m --hdr-log x.hlog   for the plotters of HdrHistogram
  tcptrace hist --replay leaks.rec               what a recording has";

/// How long sockets stay in each state: percentiles and a picture
#[derive(Args, Debug)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub struct HistArgs {
    /// What to tell apart besides the state; comm is the name of the process that opened the socket
    #[arg(long, value_enum, default_value_t = TypedBy::State, value_name = "WHAT")]
    by: TypedBy,
    /// Count what this recording has (made by tcptrace record), instead of what happens; needs no root
    #[arg(long, value_name = "FILE", conflicts_with_all = ["exact", "key_buckets", "ring_size", "max_sockets"])]
    replay: Option<PathBuf>,
    /// Report what happened in each such time; the total comes last
    #[arg(long, value_parser = value::positive_duration, value_name = "DURATION")]
    interval: Option<Duration>,
    /// Stop after this time, with the answer
    #[arg(long, value_parser = value::positive_duration, value_name = "DURATION")]
    duration: Option<Duration>,
    /// Send every dwell to user space, for three significant digits; at high rates some may be lost,
    /// which is counted and shown
    #[arg(long)]
    exact: bool,
    /// Write an HdrHistogram log too (V2, compressed), one line for each interval, state and key
    #[arg(long, value_name = "FILE")]
    hdr_log: Option<PathBuf>,
    #[command(flatten)]
    filters: FilterArgs<State>,
    #[command(flatten)]
    output: OutputArgs<TypedFormat>,
    /// Cut nothing: keys and pictures as wide as they are, every key
    #[arg(short, long, help_heading = "Output")]
    wide: bool,
    /// How many keys the table shows, those with most dwells first; JSON has them all
    #[arg(long, default_value = "10", value_name = "N", help_heading = "Output")]
    top: NonZeroUsize,
    /// Room in the kernel for counts by state, key and length; what finds none counts as (other)
    #[arg(long, default_value = "262144", value_parser = value::map_entries)]
    #[arg(value_name = "N", hide_short_help = true)]
    key_buckets: u32,
    /// Size of the ring buffer in bytes, a power of two; only used where dwells are streamed
    #[arg(long, default_value = "8388608", value_parser = value::ring_bytes)]
    #[arg(value_name = "BYTES", hide_short_help = true)]
    ring_size: u32,
    #[command(flatten)]
    room: RoomArgs,
}

impl HistArgs {
    /// What it means.
    ///
    /// # Errors
    ///
    /// A usage error for a filter that cannot be applied.
    pub fn plan(self) -> Result<HistPlan, Exit> {
        let until = self.duration.map_or(Until::Interrupted, Until::Elapsed);
        let (filter, netns) = self.filters.plan();
        refuse(&filter)?;
        Ok(HistPlan {
            replay: self.replay,
            by: self.by.into(),
            interval: self.interval,
            until,
            exact: self.exact,
            filter,
            netns,
            hdr_log: self.hdr_log,
            output: self.output.plan(self.wide),
            top: (!self.wide).then_some(self.top.get()),
            key_buckets: self.key_buckets,
            budget: self.room.budget(self.ring_size),
            verbosity: self.output.verbose,
        })
    }
}

/// Openers are known by pid and name alone.
fn refuse(filter: &Filter<State>) -> Result<(), Exit> {
    let given =
        [("--cgroup", filter.cgroups.is_empty()), ("--container", filter.containers.is_empty())];
    match given.iter().find(|(_, is_empty)| !is_empty) {
        None => Ok(()),
        Some((option, _)) => Err(Exit::usage(&format!(
            "{option}: hist knows who opened a socket by pid and name alone; use --pid or --comm"
        ))),
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TypedBy {
    State,
    Comm,
    LocalPort,
    Remote,
}

impl From<TypedBy> for By {
    fn from(typed: TypedBy) -> Self {
        match typed {
            TypedBy::State => Self::State,
            TypedBy::Comm => Self::Comm,
            TypedBy::LocalPort => Self::LocalPort,
            TypedBy::Remote => Self::Remote,
        }
    }
}

//! `tcptrace leaks` as typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::filters::FilterArgs;
use super::output::{OutputArgs, TypedStackFormat};
use super::room::RoomArgs;
use super::value;
use crate::commands::plan::{LeaksPlan, ReplayPlan, Until};
use crate::lifecycle::by::By;
use crate::lifecycle::cause::Kind;
use crate::lifecycle::weight::Weight;

const ABOUT: &str = "\
Every socket whose peer has closed and that this host has not, and every dead one: connection over, \
descriptor still open; for at least --min-age. Each with who holds it, who opened it, and why.

The first report comes at once and includes sockets older than this program. Further ones follow \
until Ctrl-C, which gives a last one.";

const EXAMPLES: &str = "\
Examples:
  tcptrace leaks --min-age 5m              only what has leaked for five minutes
  tcptrace leaks --once --exit-code        for scripts: exit status 1 when something leaks
  tcptrace leaks -p 4244 --by remote       one process, counted by peer
  tcptrace leaks -L 80,443 -s close-wait   a server's sockets
  tcptrace leaks --duration 1h -o json     watch for an hour, JSON Lines
  tcptrace leaks --once --by none -w       one row for each socket
  tcptrace leaks --replay leaks.rec --once what a recording says
  tcptrace leaks --duration 10m -o svg     a flame graph of what leaks then, on standard output";

/// Time from one report to the next where none is given.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// Every leaked socket, who holds it, and why
#[derive(Args, Debug)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub struct LeaksArgs {
    /// Leave out sockets that have leaked for less: 500ms, 30s, 5m, 1h30m, 0s for all. A dead one of
    /// unknown age counts, unless it certainly is younger
    #[arg(long, default_value = "30s", value_parser = value::duration, value_name = "DURATION")]
    min_age: Duration,
    /// Time from one report to the next [default: 5s, with --replay as it was recorded]
    #[arg(long, value_parser = value::positive_duration, value_name = "DURATION", conflicts_with = "once")]
    interval: Option<Duration>,
    /// Stop after this time, with a last report
    #[arg(long, value_parser = value::positive_duration, value_name = "DURATION")]
    duration: Option<Duration>,
    /// Stop after the first report
    #[arg(long, conflicts_with = "duration")]
    once: bool,
    /// What to group leaks by
    #[arg(long, value_enum, default_value_t = TypedBy::Stack, value_name = "WHAT")]
    by: TypedBy,
    /// Answer from a recording of `tcptrace record`; takes no root
    #[arg(long, value_name = "FILE", conflicts_with = "max_sockets")]
    replay: Option<PathBuf>,
    /// Exit status 1 when the last report has leaks
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    filters: FilterArgs<Kind>,
    #[command(flatten)]
    output: OutputArgs<TypedStackFormat>,
    /// Cut nothing: lines as long as they are, every frame of a stack, whole paths
    #[arg(short, long, help_heading = "Output")]
    wide: bool,
    /// Below frames of Python, those of the interpreter and its libraries too
    #[arg(long, help_heading = "Output", conflicts_with = "no_stacks")]
    native: bool,
    /// What a socket counts in folded and svg: itself, or the seconds that it has leaked
    #[arg(long, value_enum, default_value_t = TypedWeight::Sockets, value_name = "WHAT")]
    #[arg(help_heading = "Output")]
    weight: TypedWeight,
    /// Take no stacks: the kernel side does less for each connection
    #[arg(long)]
    no_stacks: bool,
    /// Size of the ring buffer in bytes, a power of two; a small one loses freshness, never truth
    #[arg(long, default_value = "1048576", value_parser = value::ring_bytes)]
    #[arg(value_name = "BYTES", hide_short_help = true, conflicts_with = "replay")]
    ring_size: u32,
    #[command(flatten)]
    room: RoomArgs,
}

impl LeaksArgs {
    /// What it means.
    pub fn plan(self) -> LeaksPlan {
        let until = match (self.once, self.duration) {
            (true, _) => Until::Once,
            (false, Some(duration)) => Until::Elapsed(duration),
            (false, None) => Until::Interrupted,
        };
        let (filter, netns) = self.filters.plan();
        LeaksPlan {
            min_age: self.min_age,
            interval: self.interval.unwrap_or(DEFAULT_INTERVAL),
            until,
            by: self.by.into(),
            exit_code: self.exit_code,
            filter,
            netns,
            output: self.output.plan(self.wide),
            stacks: !self.no_stacks,
            native: self.native,
            weight: self.weight.into(),
            replay: self.replay.map(|file| ReplayPlan { file, interval: self.interval }),
            budget: self.room.budget(self.ring_size),
            verbosity: self.output.verbose,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TypedWeight {
    Sockets,
    Seconds,
}

impl From<TypedWeight> for Weight {
    fn from(typed: TypedWeight) -> Self {
        match typed {
            TypedWeight::Sockets => Self::Sockets,
            TypedWeight::Seconds => Self::Seconds,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TypedBy {
    Stack,
    Process,
    Remote,
    LocalPort,
    Cgroup,
    None,
}

impl From<TypedBy> for By {
    fn from(typed: TypedBy) -> Self {
        match typed {
            TypedBy::Stack => Self::Stack,
            TypedBy::Process => Self::Process,
            TypedBy::Remote => Self::Remote,
            TypedBy::LocalPort => Self::LocalPort,
            TypedBy::Cgroup => Self::Cgroup,
            TypedBy::None => Self::None,
        }
    }
}

//! `tcptrace stream` as typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::filters::FilterArgs;
use super::output::{OutputArgs, TypedFormat};
use super::room::RoomArgs;
use super::value;
use crate::commands::plan::{StreamPlan, Until};
use crate::lifecycle::socket::State;
use crate::lifecycle::stream::TimeColumn;

const ABOUT: &str = "\
Every state transition of every TCP socket, as it happens, one line each: when, who opened the \
socket, both ends, how long it was in the state that it leaves, and how the connection ended.

Between the ends stands > where this side connected, < where it accepted, - where that was before \
the trace. A time that is not known is -, one that is known within a bound has ≥ or ≤.

Filters on processes mean who opened a socket; of one that was there before the trace, who held it \
when the trace began. A recording does not tell who held what, nor in which cgroup or container \
somebody was: --replay refuses --cgroup and --container.";

const EXAMPLES: &str = "\
Examples:
  tcptrace stream -L 443                   what happens to a server's connections
  tcptrace stream -p 4244 --children       a process, and those that it starts
  tcptrace stream -s CLOSE -D 5432         how connections to a database end
  tcptrace stream --time relative -w       seconds since the start, nothing cut
  tcptrace stream -o json --duration 1m    one minute as JSON Lines
  tcptrace stream --replay leaks.rec       what a recording has";

/// Every state transition of every TCP socket, as it happens
#[derive(Args, Debug)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub struct StreamArgs {
    /// Show what this recording has (made by tcptrace record), instead of what happens; needs no root
    #[arg(long, value_name = "FILE", conflicts_with_all = ["children", "no_time_wait", "ring_size", "max_sockets"])]
    replay: Option<PathBuf>,
    /// Stop after this time
    #[arg(long, value_parser = value::positive_duration, value_name = "DURATION")]
    duration: Option<Duration>,
    #[command(flatten)]
    filters: FilterArgs<State>,
    /// With --pid: also the processes that descend from it
    #[arg(long, requires = "pid")]
    #[arg(help_heading = "Filters (lists: one of them; all that are given have to hold)")]
    children: bool,
    /// Do not follow closed sockets into FIN_WAIT2 and TIME_WAIT, which takes a look at every timer
    /// of the host where functions of the kernel cannot be hooked
    #[arg(long)]
    no_time_wait: bool,
    #[command(flatten)]
    output: OutputArgs<TypedFormat>,
    /// Cut nothing: lines as long as they are
    #[arg(short, long, help_heading = "Output")]
    wide: bool,
    /// Time at the start of a line: of day, or seconds since the trace began
    #[arg(long, value_enum, default_value_t = TypedTime::Wall, value_name = "WHICH")]
    #[arg(help_heading = "Output")]
    time: TypedTime,
    /// Size of the ring buffer in bytes, a power of two; a larger one bears longer bursts
    #[arg(long, default_value = "33554432", value_parser = value::ring_bytes)]
    #[arg(value_name = "BYTES", hide_short_help = true)]
    ring_size: u32,
    #[command(flatten)]
    room: RoomArgs,
}

impl StreamArgs {
    /// What it means.
    pub fn plan(self) -> StreamPlan {
        let (filter, netns) = self.filters.plan();
        StreamPlan {
            replay: self.replay,
            filter,
            netns,
            children: self.children,
            mini_sockets: !self.no_time_wait,
            until: self.duration.map_or(Until::Interrupted, Until::Elapsed),
            time: self.time.into(),
            output: self.output.plan(self.wide),
            budget: self.room.budget(self.ring_size),
            verbosity: self.output.verbose,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TypedTime {
    Wall,
    Relative,
    None,
}

impl From<TypedTime> for TimeColumn {
    fn from(typed: TypedTime) -> Self {
        match typed {
            TypedTime::Wall => Self::Wall,
            TypedTime::Relative => Self::Relative,
            TypedTime::None => Self::None,
        }
    }
}

//! `tcptrace states` as typed.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::filters::FilterArgs;
use super::output::{OutputArgs, TypedFormat};
use super::state::CountedState;
use super::value;
use crate::commands::plan::{Format, StatesPlan, Until};
use crate::lifecycle::census::By;

/// Rows that the table shows where the user does not say.
const TOP: usize = 20;

const ABOUT: &str = "\
How many TCP sockets are in each state now, over all network namespaces of the host. TIME_WAIT and \
FIN_WAIT2 of closed sockets count, half-open requests as SYN_RECV, and dead sockets, which no \
socket table shows: connection over, descriptor still open.

Filters on processes are about those that hold a socket now. With --by process a socket that \
several processes hold counts for each of them, and once in the total; what no process holds \
counts for '-'.";

const EXAMPLES: &str = "\
Examples:
  tcptrace states                                 the whole host
  tcptrace states --watch                         again every two seconds, until Ctrl-C
  tcptrace states --by remote -s time-wait        peers with the most sockets in TIME_WAIT
  tcptrace states --by process --top 50           the fifty processes with the most sockets
  tcptrace states --netns pid:4244 -L 443         one port in the network namespace of a process
  tcptrace states --by local-port -o json         all ports, JSON Lines";

/// How many sockets are in each state, in all network namespaces
#[derive(Args, Debug)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub struct StatesArgs {
    /// What to count by, besides the state
    #[arg(long, value_enum, default_value_t = TypedBy::State, value_name = "WHAT")]
    by: TypedBy,
    /// Count again and again until Ctrl-C; on a terminal in place
    #[arg(long)]
    watch: bool,
    /// Time from one count to the next
    #[arg(long, default_value = "2s", value_parser = value::positive_duration)]
    #[arg(value_name = "DURATION", requires = "watch")]
    interval: Duration,
    /// Stop after this time, with a last count
    #[arg(long, value_parser = value::positive_duration, value_name = "DURATION")]
    #[arg(requires = "watch")]
    duration: Option<Duration>,
    #[command(flatten)]
    filters: FilterArgs<CountedState>,
    #[command(flatten)]
    output: OutputArgs<TypedFormat>,
    /// Cut nothing: lines as long as they are, and all rows
    #[arg(short, long, help_heading = "Output")]
    wide: bool,
    /// Show the rows with the most sockets only [default: 20 in the table, all in JSON]
    #[arg(long, value_parser = value::top, value_name = "ROWS", help_heading = "Output")]
    top: Option<usize>,
}

impl StatesArgs {
    /// What it means.
    pub fn plan(self) -> StatesPlan {
        let until = match (self.watch, self.duration) {
            (false, _) => Until::Once,
            (true, Some(duration)) => Until::Elapsed(duration),
            (true, None) => Until::Interrupted,
        };
        let output = self.output.plan(self.wide);
        let shows_all = self.wide || output.format != Format::Table;
        let (filter, netns) = self.filters.plan();
        let states = filter.states.iter().map(|state| state.0).collect();
        StatesPlan {
            by: self.by.into(),
            states,
            top: self.top.or((!shows_all).then_some(TOP)),
            interval: self.interval,
            until,
            filter: filter.with_states(Vec::new()),
            netns,
            output,
            verbosity: self.output.verbose,
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum TypedBy {
    State,
    Remote,
    LocalPort,
    Process,
    Netns,
}

impl From<TypedBy> for By {
    fn from(typed: TypedBy) -> Self {
        match typed {
            TypedBy::State => Self::State,
            TypedBy::Remote => Self::Remote,
            TypedBy::LocalPort => Self::LocalPort,
            TypedBy::Process => Self::Process,
            TypedBy::Netns => Self::Netns,
        }
    }
}

//! `tcptrace record` as typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::room::RoomArgs;
use super::value;
use crate::commands::plan::{RecordPlan, Until};

const ABOUT: &str = "\
Saves what happens and what is so, with the names needed to read it later, elsewhere and without \
root: every state transition, and at each interval a look at every leak of any age.

The file says which processes there are and with whom they talk: names, paths, users, cgroups, \
addresses, ports, stacks. It is made for its owner alone (mode 0600) and replaces another only with --force.";

const EXAMPLES: &str = "\
Examples:
  tcptrace record leaks.rec --duration 10m      ten minutes
  tcptrace leaks --replay leaks.rec --min-age 1m --by process
                                                any question about them, any time
  sudo tcptrace record - > leaks.rec            a file that belongs to the caller";

/// Save events and looks to a file, for `leaks --replay`
#[derive(Args, Debug)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub struct RecordArgs {
    /// File to make; - for standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Time from one look to the next
    #[arg(long, default_value = "5s", value_parser = value::positive_duration)]
    #[arg(value_name = "DURATION")]
    interval: Duration,
    /// Stop after this time, with a last look
    #[arg(long, value_parser = value::positive_duration, value_name = "DURATION")]
    duration: Option<Duration>,
    /// Stop after the first look
    #[arg(long, conflicts_with = "duration")]
    once: bool,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
    /// Take no stacks: the kernel side does less for each connection
    #[arg(long)]
    no_stacks: bool,
    /// Size of the ring buffer in bytes, a power of two; a small one loses events
    #[arg(long, default_value = "16777216", value_parser = value::ring_bytes)]
    #[arg(value_name = "BYTES", hide_short_help = true)]
    ring_size: u32,
    #[command(flatten)]
    room: RoomArgs,
    /// More on standard error: -v the loader's log and the kernel side's, -vv in detail
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
}

impl RecordArgs {
    /// What it means.
    pub fn plan(self) -> RecordPlan {
        let until = match (self.once, self.duration) {
            (true, _) => Until::Once,
            (false, Some(duration)) => Until::Elapsed(duration),
            (false, None) => Until::Interrupted,
        };
        RecordPlan {
            file: (self.file.as_os_str() != "-").then_some(self.file),
            interval: self.interval,
            until,
            force: self.force,
            stacks: !self.no_stacks,
            budget: self.room.budget(self.ring_size),
            verbosity: self.verbose,
        }
    }
}

//! `tcptrace doctor` as typed.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::output::{OutputArgs, TypedFormat};
use super::value;
use crate::commands::plan::{DoctorPlan, Explained};
use crate::doctor::{sysctl, topic};
use crate::lifecycle::filter::NetnsSpec;

const ABOUT: &str = "\
Looks at this host for a second and says what is wrong with its TCP connections, on what evidence, \
what to change and what to leave alone: leaked sockets, accept queues, local ports, TIME_WAIT, \
descriptors, peers that do not answer. It only reads. What looks fine is said too.

Every setting that pages about CLOSE_WAIT and TIME_WAIT name gets a verdict. Without root it sees \
its own network namespace and its user's processes, and says what it could not see.";

const EXAMPLES: &str = "\
Examples:
  tcptrace doctor                             this host, now
  tcptrace doctor --duration 30s              watch counters and descriptors for longer
  tcptrace doctor --exit-code -o json         for monitoring: 1 when something is a warning or worse
  tcptrace doctor --explain tcp_tw_reuse      one setting: what it does, its default, the harm
  tcptrace doctor --explain accept-queue      one thing that doctor looks at: its rule and sources
  tcptrace doctor --sysctl-file tuning.conf   somebody's advice, line by line";

/// What is wrong with this host's TCP, what to change and what to leave alone
#[derive(Args, Debug)]
#[command(long_about = ABOUT, after_help = EXAMPLES)]
pub struct DoctorArgs {
    /// How long to watch counters and descriptors
    #[arg(long, default_value = "1s", value_parser = value::positive_duration)]
    #[arg(value_name = "DURATION")]
    duration: Duration,
    /// From which age on a socket in CLOSE_WAIT, or a dead one, counts
    #[arg(long, default_value = "30s", value_parser = value::duration, value_name = "DURATION")]
    min_age: Duration,
    /// From when on a connection without keepalive is idle
    #[arg(long, default_value = "1h", value_parser = value::duration, value_name = "DURATION")]
    min_idle: Duration,
    /// Only these network namespaces: inode number, path, name or pid:4244
    #[arg(long, value_delimiter = ',', value_parser = value::netns, value_name = "NETNS")]
    netns: Vec<NetnsSpec>,
    /// Exit with status 1 when something is a warning or worse
    #[arg(long)]
    exit_code: bool,
    /// Explain one setting or one finding, and look at nothing else
    #[arg(long, value_parser = explained, value_name = "NAME")]
    #[arg(conflicts_with_all = ["exit_code", "sysctl_file", "netns", "duration", "min_age", "min_idle"])]
    explain: Option<Explained>,
    /// Check somebody's advice, a file as sysctl.conf(5) has it, line by line
    #[arg(long, value_name = "FILE")]
    sysctl_file: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs<TypedFormat>,
    /// Cut nothing: lines as long as they are
    #[arg(short, long, help_heading = "Output")]
    wide: bool,
}

impl DoctorArgs {
    /// What it means.
    pub fn plan(self) -> DoctorPlan {
        DoctorPlan {
            window: self.duration,
            min_age: self.min_age,
            min_idle: self.min_idle,
            netns: self.netns,
            exit_code: self.exit_code,
            explain: self.explain,
            sysctl_file: self.sysctl_file,
            output: self.output.plan(self.wide),
            verbosity: self.output.verbose,
        }
    }
}

/// `tcp_tw_reuse`, `net.ipv4.tcp_tw_reuse`, `accept-queue`.
fn explained(text: &str) -> Result<Explained, String> {
    let topic = topic::find(&text.to_ascii_lowercase().replace('_', "-")).map(Explained::Topic);
    let setting = || sysctl::find(text).map(|own| Explained::Setting(own.name));
    topic.or_else(setting).ok_or_else(|| {
        let topics: Vec<&str> = topic::TOPICS.iter().map(|topic| topic.id).collect();
        format!("known are settings such as tcp_tw_reuse, and {}", topics.join(", "))
    })
}

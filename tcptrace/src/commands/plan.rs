//! What will be done: plain data, checked and converted from what was typed.

use std::path::PathBuf;
use std::time::Duration;

use crate::doctor::topic::Topic;
use crate::lifecycle::budget::Budget;
use crate::lifecycle::by::By;
use crate::lifecycle::census;
use crate::lifecycle::dwell;
use crate::lifecycle::filter::{Filter, NetnsSpec};
use crate::lifecycle::socket::State;
use crate::lifecycle::stream::TimeColumn;
use crate::lifecycle::weight::Weight;

/// One run of the program.
#[derive(Clone, Debug, PartialEq)]
pub enum Plan {
    /// `tcptrace leaks`.
    Leaks(Box<LeaksPlan>),
    /// `tcptrace hist`.
    Hist(Box<HistPlan>),
    /// `tcptrace stream`.
    Stream(Box<StreamPlan>),
    /// `tcptrace states`.
    States(Box<StatesPlan>),
    /// `tcptrace doctor`.
    Doctor(Box<DoctorPlan>),
    /// `tcptrace check`.
    Check(CheckPlan),
    /// `tcptrace record`.
    Record(RecordPlan),
}

/// `tcptrace leaks`.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaksPlan {
    /// Younger sockets in CLOSE_WAIT are not reported.
    pub min_age: Duration,
    /// Time from one report to the next; never zero.
    pub interval: Duration,
    /// When to stop.
    pub until: Until,
    /// What leaks are grouped by.
    pub by: By,
    /// Exit status 1 when the last report has leaks.
    pub exit_code: bool,
    /// Which leaks; its `netns` is empty until [`Self::netns`] is resolved.
    pub filter: Filter,
    /// Network namespaces as the user named them; empty: all.
    pub netns: Vec<NetnsSpec>,
    /// How to print.
    pub output: OutputPlan,
    /// Whether stacks are taken.
    pub stacks: bool,
    /// Whether machine code below Python is shown.
    pub native: bool,
    /// What a socket counts in `folded` and `svg`.
    pub weight: Weight,
    /// Answer from a recording; `None`: from the kernel.
    pub replay: Option<ReplayPlan>,
    /// How much memory the kernel side may use.
    pub budget: Budget,
    /// How often `-v` was given.
    pub verbosity: u8,
}

/// A recording to answer from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayPlan {
    /// The file.
    pub file: PathBuf,
    /// Time from one report to the next; `None`: as it was recorded.
    pub interval: Option<Duration>,
}

/// `tcptrace record`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPlan {
    /// The file; `None`: standard output.
    pub file: Option<PathBuf>,
    /// Time from one look to the next; never zero.
    pub interval: Duration,
    /// When to stop.
    pub until: Until,
    /// Whether a file that is there is replaced.
    pub force: bool,
    /// Whether stacks are taken.
    pub stacks: bool,
    /// How much memory the kernel side may use.
    pub budget: Budget,
    /// How often `-v` was given.
    pub verbosity: u8,
}

/// `tcptrace hist`.
#[derive(Clone, Debug, PartialEq)]
pub struct HistPlan {
    /// A recording to read instead of the kernel.
    pub replay: Option<PathBuf>,
    /// What is told apart besides the state.
    pub by: dwell::key::By,
    /// Time from one report to the next; `None`: one report at the end.
    pub interval: Option<Duration>,
    /// When to stop.
    pub until: Until,
    /// Whether each dwell is streamed.
    pub exact: bool,
    /// Which dwells; its `netns` is empty until [`Self::netns`] is resolved.
    pub filter: Filter<State>,
    /// Network namespaces as the user named them; empty: all.
    pub netns: Vec<NetnsSpec>,
    /// Where to write an HdrHistogram log.
    pub hdr_log: Option<PathBuf>,
    /// How to print.
    pub output: OutputPlan,
    /// Most keys that the table shows; `None`: all.
    pub top: Option<usize>,
    /// Room for counts by state, key and bucket in the kernel.
    pub key_buckets: u32,
    /// How much memory the kernel side may use.
    pub budget: Budget,
    /// How often `-v` was given.
    pub verbosity: u8,
}

/// `tcptrace stream`.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamPlan {
    /// A recording to read instead of the kernel.
    pub replay: Option<PathBuf>,
    /// Which transitions; its `netns` is empty until [`Self::netns`] is resolved.
    pub filter: Filter<State>,
    /// Network namespaces as the user named them; empty: all.
    pub netns: Vec<NetnsSpec>,
    /// Whether descendants of the filter's processes count as these.
    pub children: bool,
    /// Whether closed sockets are followed into FIN_WAIT2 and TIME_WAIT.
    pub mini_sockets: bool,
    /// When to stop.
    pub until: Until,
    /// Which time a line of the table begins with.
    pub time: TimeColumn,
    /// How to print.
    pub output: OutputPlan,
    /// How much memory the kernel side may use.
    pub budget: Budget,
    /// How often `-v` was given.
    pub verbosity: u8,
}

/// `tcptrace states`.
#[derive(Clone, Debug, PartialEq)]
pub struct StatesPlan {
    /// What sockets are counted by.
    pub by: census::By,
    /// States that are counted; empty: all.
    pub states: Vec<State>,
    /// Most keys that are shown; `None`: all.
    pub top: Option<usize>,
    /// Time from one count to the next; never zero.
    pub interval: Duration,
    /// When to stop.
    pub until: Until,
    /// Which sockets; its `netns` is empty until [`Self::netns`] is resolved.
    pub filter: Filter,
    /// Network namespaces as the user named them; empty: all.
    pub netns: Vec<NetnsSpec>,
    /// How to print.
    pub output: OutputPlan,
    /// How often `-v` was given.
    pub verbosity: u8,
}

/// `tcptrace doctor`.
#[derive(Clone, Debug, PartialEq)]
pub struct DoctorPlan {
    /// Time between the two samples.
    pub window: Duration,
    /// Younger sockets in CLOSE_WAIT do not count.
    pub min_age: Duration,
    /// From when on a connection is idle.
    pub min_idle: Duration,
    /// Network namespaces as the user named them; empty: all.
    pub netns: Vec<NetnsSpec>,
    /// Exit status 1 when something is a warning or worse.
    pub exit_code: bool,
    /// Explain this and look at nothing else.
    pub explain: Option<Explained>,
    /// A file of settings to check.
    pub sysctl_file: Option<PathBuf>,
    /// How to print.
    pub output: OutputPlan,
    /// How often `-v` was given.
    pub verbosity: u8,
}

/// What is to be explained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explained {
    /// What doctor looks at.
    Topic(&'static Topic),
    /// A setting by its full name; it is one of the catalogue.
    Setting(&'static str),
}

/// `tcptrace check`.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckPlan {
    /// How to print.
    pub output: OutputPlan,
    /// How often `-v` was given.
    pub verbosity: u8,
}

/// When a command that follows the kernel stops. Ctrl-C stops it in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// After the first report.
    Once,
    /// After this time, with a final report.
    Elapsed(Duration),
    /// Not by itself.
    Interrupted,
}

impl Until {
    /// The time after which it stops, if that is set.
    #[must_use]
    pub const fn elapsed(self) -> Option<Duration> {
        match self {
            Self::Elapsed(duration) => Some(duration),
            Self::Once | Self::Interrupted => None,
        }
    }
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputPlan {
    /// Format.
    pub format: Format,
    /// Colour of the table.
    pub color: Color,
    /// No limit of 100 columns, nor of frames.
    pub wide: bool,
}

/// Format of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// JSON Lines.
    Json,
    /// Folded stacks, of the last report alone.
    Folded,
    /// A flame graph, of the last report alone.
    Svg,
}

impl Format {
    /// Whether each report is printed, or only the last one.
    #[must_use]
    pub const fn follows(self) -> bool {
        matches!(self, Self::Table | Self::Json)
    }
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Yes, `NO_COLOR` or not.
    Always,
    /// No.
    Never,
}

impl Color {
    /// Whether to colour: `no_color` says that the environment has a `NO_COLOR` that is not
    /// empty, `terminal` that standard output is one.
    #[must_use]
    pub fn decide(self, no_color: bool, terminal: bool) -> bool {
        match self {
            Self::Auto => terminal && !no_color,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_is_for_terminals_unless_the_user_says_otherwise() {
        assert!(Color::Auto.decide(false, true));
        assert!(!Color::Auto.decide(false, false));
        assert!(!Color::Auto.decide(true, true));
        assert!(Color::Always.decide(true, false));
        assert!(!Color::Never.decide(false, true));
    }
}

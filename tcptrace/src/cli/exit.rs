//! What is printed when the command line does not lead to a run.

use std::error::Error as _;
use std::fmt::Write as _;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::lifecycle::text::visible;

/// Where a text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What to print instead of running, and the exit status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The text, with its final newline.
    pub text: String,
    /// Where it goes.
    pub stream: Stream,
    /// Exit status: 0 for help and version, 2 for a usage error.
    pub status: u8,
}

impl Exit {
    /// A usage error: one line that says what failed and what to do.
    pub(super) fn usage(message: &str) -> Self {
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        Self {
            text: format!("tcptrace: {}\n", visible(&message)),
            stream: Stream::Stderr,
            status: 2,
        }
    }

    /// clap's answer; its errors of several lines are condensed to one.
    pub(super) fn from_clap(error: &clap::Error) -> Self {
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                Self { text: error.to_string(), stream: Stream::Stdout, status: 0 }
            }
            _ => Self::usage(&condensed(error)),
        }
    }
}

fn condensed(error: &clap::Error) -> String {
    let arg = option_name(&context(error, ContextKind::InvalidArg));
    match error.kind() {
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => wrong_value(error, &arg),
        ErrorKind::UnknownArgument => unknown(error, &arg),
        ErrorKind::InvalidSubcommand => {
            let name = context(error, ContextKind::InvalidSubcommand);
            format!("unknown command '{name}'{}; see tcptrace --help", suggestion(error))
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            "no command given; try 'tcptrace leaks', or see tcptrace --help".to_owned()
        }
        ErrorKind::ArgumentConflict => {
            let other = option_name(&context(error, ContextKind::PriorArg));
            if arg == other {
                format!("{arg} is given twice; give it once")
            } else {
                format!("{arg} and {other} exclude each other; give one of them")
            }
        }
        ErrorKind::MissingRequiredArgument => {
            let given = error.get(ContextKind::InvalidArg).is_some();
            let missing = list(error, ContextKind::InvalidArg);
            match given {
                true => format!("{missing} is missing; see tcptrace --help"),
                false => first_line(error),
            }
        }
        ErrorKind::InvalidUtf8 => "an argument is not valid UTF-8; see tcptrace --help".to_owned(),
        _ => first_line(error),
    }
}

fn wrong_value(error: &clap::Error, arg: &str) -> String {
    let value = context(error, ContextKind::InvalidValue);
    if value.is_empty() && error.source().is_none() {
        return format!("{arg} needs a value; see tcptrace --help");
    }
    let why = match error.source() {
        Some(source) => source.to_string(),
        None => format!("not one of {}", list(error, ContextKind::ValidValue)),
    };
    format!("{arg} {value}: {why}")
}

fn unknown(error: &clap::Error, arg: &str) -> String {
    if arg.starts_with('-') {
        format!("unknown option '{arg}'{}; see tcptrace --help", suggestion(error))
    } else {
        format!("unexpected argument '{arg}'; see tcptrace --help")
    }
}

fn suggestion(error: &clap::Error) -> String {
    let mut text = String::new();
    for kind in [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand] {
        let known = list(error, kind);
        if !known.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(text, ", perhaps {}", option_name(&known));
        }
    }
    text
}

/// `--min-age <DURATION>` → `--min-age`.
fn option_name(arg: &str) -> String {
    arg.split([' ', '=']).next().unwrap_or(arg).trim_end_matches("...").to_owned()
}

fn context(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.first().cloned().unwrap_or_default(),
        _ => String::new(),
    }
}

fn list(error: &clap::Error, kind: ContextKind) -> String {
    match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        _ => String::new(),
    }
}

fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    format!("{}; see tcptrace --help", line.trim_start_matches("error: "))
}

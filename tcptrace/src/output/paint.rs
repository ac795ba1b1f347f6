//! Colours of the table. Text is cut and padded before it is painted.

use anstyle::{AnsiColor, Style};

use crate::doctor::finding::Severity;
use crate::lifecycle::cause::Cause;

/// A line above others.
pub fn heading(text: &str, on: bool) -> String {
    paint(Style::new().bold(), text, on)
}

/// How many sockets.
pub fn count(text: &str, on: bool) -> String {
    paint(Style::new().bold(), text, on)
}

/// A verdict: red where the connection is over or nobody can close it, else yellow.
pub fn cause(cause: Cause, text: &str, on: bool) -> String {
    let color = match cause {
        Cause::DeadReset | Cause::DeadClosed | Cause::HeldByKernel => AnsiColor::Red,
        Cause::HalfClose => AnsiColor::Cyan,
        _ => AnsiColor::Yellow,
    };
    paint(color.on_default(), text, on)
}

/// How bad a finding is.
pub fn severity(severity: Severity, text: &str, on: bool) -> String {
    let color = match severity {
        Severity::Critical => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
        Severity::Notice => AnsiColor::Cyan,
        Severity::Ok => AnsiColor::Green,
    };
    paint(color.on_default().bold(), text, on)
}

/// What is worth a look.
pub fn warning(text: &str, on: bool) -> String {
    paint(AnsiColor::Yellow.on_default(), text, on)
}

/// What explains.
pub fn faint(text: &str, on: bool) -> String {
    paint(Style::new().dimmed(), text, on)
}

fn paint(style: Style, text: &str, on: bool) -> String {
    if on && !text.is_empty() { format!("{style}{text}{style:#}") } else { text.to_owned() }
}

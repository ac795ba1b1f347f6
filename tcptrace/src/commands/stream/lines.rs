//! How the lines of `stream` are printed.

use std::io::IsTerminal as _;

use jiff::tz::TimeZone;

use crate::commands::plan::{Format, StreamPlan};
use crate::output;
use crate::output::stream::{Json, Lines, Style, Table};

/// The format that the plan asks for.
#[must_use]
pub fn lines(plan: &StreamPlan) -> Box<dyn Lines> {
    if plan.output.format == Format::Json {
        return Box::new(Json::new());
    }
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Box::new(Table::new(Style {
        width: if plan.output.wide { usize::MAX } else { output::Style::DEFAULT_WIDTH },
        time: plan.time,
        color: plan.output.color.decide(no_color, std::io::stdout().is_terminal()),
        zone: TimeZone::system(),
    }))
}

//! How the lines of `stream` are printed.

use jiff::tz::TimeZone;

use crate::commands::color;
use crate::commands::plan::{Format, StreamPlan};
use crate::output;
use crate::output::stream::{Json, Lines, Style, Table};

/// The format that the plan asks for.
#[must_use]
pub fn lines(plan: &StreamPlan) -> Box<dyn Lines> {
    if plan.output.format == Format::Json {
        return Box::new(Json::new());
    }
    Box::new(Table::new(Style {
        width: if plan.output.wide { usize::MAX } else { output::Style::DEFAULT_WIDTH },
        time: plan.time,
        color: color::is_wanted(plan.output.color),
        zone: TimeZone::system(),
    }))
}

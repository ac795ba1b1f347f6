//! Where the reports of `hist` go.

use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::{Context as _, Result};
use jiff::tz::TimeZone;

use crate::commands::color;
use crate::commands::plan::{Format, HistPlan};
use crate::lifecycle::dwell::report::{HistReport, Scope};
use crate::output::hist::{HdrLog, HistOutput, HistStyle, HistTable, Json};

/// Where reports go.
pub struct Outputs {
    format: Box<dyn HistOutput>,
    hdr_log: Option<(HdrLog, BufWriter<File>)>,
    /// Whether intervals are reported, which then make the log.
    intervals: bool,
}

impl Outputs {
    /// Opens the log.
    pub fn open(plan: &HistPlan) -> Result<Self> {
        let hdr_log = plan.hdr_log.as_ref().map(|path| {
            let file = File::create(path).with_context(|| {
                format!("--hdr-log {}: cannot write there; name another file", path.display())
            })?;
            anyhow::Ok((HdrLog::default(), BufWriter::new(file)))
        });
        Ok(Self {
            format: renderer(plan),
            hdr_log: hdr_log.transpose()?,
            intervals: plan.interval.is_some(),
        })
    }

    /// Writes a report.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(&mut self, report: &HistReport, out: &mut dyn Write) -> Result<()> {
        let is_logged = (report.scope == Scope::Interval) == self.intervals;
        if let Some((log, file)) = self.hdr_log.as_mut().filter(|_| is_logged) {
            let written = log.write(report, file).and_then(|()| file.flush());
            written.context("cannot write the HdrHistogram log")?;
        }
        let written = self.format.write(report, out).and_then(|()| out.flush());
        written.context("cannot write the report")
    }
}

fn renderer(plan: &HistPlan) -> Box<dyn HistOutput> {
    if plan.output.format == Format::Json {
        return Box::new(Json);
    }
    Box::new(HistTable::new(HistStyle {
        width: if plan.output.wide { HistStyle::WIDE } else { HistStyle::DEFAULT_WIDTH },
        top: plan.top.unwrap_or(usize::MAX),
        color: color::is_wanted(plan.output.color),
        zone: TimeZone::system(),
    }))
}

//! The log of HdrHistogram: one line for each interval, state and key, which HistogramLogAnalyzer,
//! hdr-plot and others read. Values are ns; the tag says which state and key.

use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{
    IntervalLogWriterBuilder, IntervalLogWriterError, Tag,
};

use super::{HistOutput, key};
use crate::lifecycle::dwell::report::{HistReport, Row};
use crate::lifecycle::dwell::stats::histogram;

/// By which the greatest value of a line is divided, as the log's readers expect it: ms.
const NS_PER_MS: f64 = 1_000_000.0;

/// Names of the columns.
const LEGEND: &[u8] =
    b"\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n";

/// The log.
#[derive(Default)]
pub struct HdrLog {
    serializer: V2DeflateSerializer,
    begun: bool,
}

impl HistOutput for HdrLog {
    fn write(&mut self, report: &HistReport, out: &mut dyn Write) -> io::Result<()> {
        let span = Duration::from_nanos(report.span_ns);
        let began = Duration::from_nanos(report.made_at_ns).saturating_sub(span);
        if !std::mem::replace(&mut self.begun, true) {
            self.begin(began, out)?;
        }
        let mut text = Vec::new();
        let mut builder = IntervalLogWriterBuilder::new();
        builder.with_max_value_divisor(NS_PER_MS);
        let mut log = builder.begin_log_with(&mut text, &mut self.serializer)?;
        for row in &report.rows {
            let Some(histogram) = row.dwells.as_ref().and_then(histogram) else { continue };
            let tag = tag(row);
            let written = log.write_histogram(&histogram, began, span, Tag::new(&tag));
            written.map_err(|error| match error {
                IntervalLogWriterError::IoError(error) => error,
                IntervalLogWriterError::SerializeError(error) => io::Error::other(error),
            })?;
        }
        // The crate begins each piece with a comment that stands in the head of the log already.
        let is_entry = |line: &&[u8]| !line.starts_with(b"#");
        text.split_inclusive(|byte| *byte == b'\n')
            .filter(is_entry)
            .try_for_each(|line| out.write_all(line))
    }
}

impl HdrLog {
    fn begin(&mut self, began: Duration, out: &mut dyn Write) -> io::Result<()> {
        let mut head = Vec::new();
        IntervalLogWriterBuilder::new()
            .add_comment("[tcptrace hist: time in each TCP state, ns; Interval_Max in ms]")
            .add_comment("[Histogram log format version 1.3]")
            .with_start_time(UNIX_EPOCH + began)
            .with_max_value_divisor(NS_PER_MS)
            .begin_log_with(&mut head, &mut self.serializer)?;
        out.write_all(&head)?;
        out.write_all(LEGEND)
    }
}

/// `CLOSE_WAIT`, `CLOSE_WAIT;local-port=443`.
fn tag(row: &Row) -> String {
    match key::tag(&row.key) {
        None => row.state.name().to_owned(),
        Some(key) => format!("{};{key}", row.state.name()),
    }
}

//! JSON Lines: `histogram` objects, each followed by a `still_in_state` where sockets still are,
//! last a `summary`. `docs/json.md` documents each field, and a test fails when it does not.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;

use serde::Serialize;

use super::HistOutput;
use crate::lifecycle::dwell::key::{By, Key};
use crate::lifecycle::dwell::report::{HistReport, Row};
use crate::lifecycle::dwell::stats::Stats;
use crate::lifecycle::dwell::tally::Tally;
use crate::output::escape::write_line;
use crate::output::units::rfc3339;

/// Version of the objects; it changes when a field changes its meaning or goes.
const VERSION: u32 = 1;

/// JSON Lines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl HistOutput for Json {
    fn write(&mut self, report: &HistReport, out: &mut dyn Write) -> io::Result<()> {
        for row in &report.rows {
            if let Some(dwells) = &row.dwells {
                write_line(out, &Histogram::new("histogram", report, row, dwells))?;
            }
            if let Some(still) = &row.still {
                write_line(out, &Histogram::new("still_in_state", report, row, still))?;
            }
        }
        write_line(out, &Summary::new(report))?;
        out.flush()
    }
}

/// Durations in one state: dwells that have ended, or ages of sockets that are still in it.
#[derive(Serialize)]
struct Histogram<'a> {
    r#type: &'static str,
    v: u32,
    time: String,
    state: &'static str,
    key: KeyObject<'a>,
    count: u64,
    min_ns: Option<u64>,
    mean_ns: Option<u64>,
    p50_ns: Option<u64>,
    p90_ns: Option<u64>,
    p99_ns: Option<u64>,
    p999_ns: Option<u64>,
    max_ns: Option<u64>,
    buckets: Vec<(u64, u64)>,
    unknown: u64,
    at_least: u64,
    at_most: u64,
    scope: &'static str,
    span_ns: u64,
}

impl<'a> Histogram<'a> {
    fn new(r#type: &'static str, report: &HistReport, row: &'a Row, tally: &Tally) -> Self {
        let stats = Stats::of(tally);
        Self {
            r#type,
            v: VERSION,
            time: rfc3339(report.made_at_ns),
            state: row.state.name(),
            key: KeyObject::new(report.by, &row.key),
            count: tally.count(),
            min_ns: stats.map(|stats| stats.min_ns),
            mean_ns: stats.map(|stats| stats.mean_ns),
            p50_ns: stats.map(|stats| stats.p50_ns),
            p90_ns: stats.map(|stats| stats.p90_ns),
            p99_ns: stats.map(|stats| stats.p99_ns),
            p999_ns: stats.map(|stats| stats.p999_ns),
            max_ns: stats.map(|stats| stats.max_ns),
            buckets: tally.buckets().map(|bucket| (bucket.high_ns, bucket.count)).collect(),
            unknown: tally.unknown,
            at_least: tally.at_least,
            at_most: tally.at_most,
            scope: report.scope.token(),
            span_ns: report.span_ns,
        }
    }
}

/// What is told apart besides the state.
#[derive(Serialize)]
struct KeyObject<'a> {
    by: &'static str,
    comm: Option<&'a str>,
    local_port: Option<u16>,
    remote_addr: Option<IpAddr>,
    outgoing: bool,
    other: bool,
}

impl<'a> KeyObject<'a> {
    fn new(by: By, key: &'a Key) -> Self {
        let (mut comm, mut local_port, mut remote_addr) = (None, None, None);
        match key {
            Key::All | Key::Outgoing | Key::Other => {}
            Key::Comm(name) => comm = name.as_deref(),
            Key::LocalPort(port) => local_port = *port,
            Key::Remote(addr) => remote_addr = *addr,
        }
        Self {
            by: by.token(),
            comm,
            local_port,
            remote_addr,
            outgoing: *key == Key::Outgoing,
            other: *key == Key::Other,
        }
    }
}

/// The last line of a report.
#[derive(Serialize)]
struct Summary<'a> {
    r#type: &'static str,
    v: u32,
    time: String,
    command: &'static str,
    kernel: &'a str,
    traced_ns: u64,
    scope: &'static str,
    span_ns: u64,
    by: &'static str,
    exact: bool,
    relative_error: f64,
    dwells: u64,
    unknown: u64,
    still_in_state: Option<u64>,
    without_key: u64,
    events: u64,
    lost: BTreeMap<&'a str, u64>,
    degradations: Vec<&'a str>,
    checked_at: String,
}

impl<'a> Summary<'a> {
    fn new(report: &'a HistReport) -> Self {
        Self {
            r#type: "summary",
            v: VERSION,
            time: rfc3339(report.made_at_ns),
            command: "hist",
            kernel: &report.kernel,
            traced_ns: report.traced_ns,
            scope: report.scope.token(),
            span_ns: report.span_ns,
            by: report.by.token(),
            exact: report.exact,
            relative_error: report.error,
            dwells: report.known(),
            unknown: report.unknown(),
            still_in_state: report.still(),
            without_key: report.without_key,
            events: report.events,
            lost: report.lost.iter().map(|(token, count)| (token.as_ref(), *count)).collect(),
            degradations: report.degradations.iter().map(|lack| lack.token.as_ref()).collect(),
            checked_at: rfc3339(report.made_at_ns),
        }
    }
}

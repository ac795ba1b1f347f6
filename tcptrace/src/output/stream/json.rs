//! JSON Lines: `transition` objects, last a `summary`. `docs/json.md` documents each field, and a
//! test fails when it does not.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use super::Lines;
use super::clock::Clock;
use super::names::Names;
use super::text::{address, integer};
use crate::lifecycle::stream::{Line, Summary};
use crate::output::escape::write_line;
use crate::output::units::rfc3339;

/// JSON Lines.
pub struct Json {
    clock: Clock,
    names: Names,
}

impl Json {
    /// Nothing written yet.
    #[must_use]
    pub fn new() -> Self {
        Self { clock: Clock::rfc3339(), names: Names::json() }
    }
}

impl Default for Json {
    fn default() -> Self {
        Self::new()
    }
}

impl Lines for Json {
    fn head(&mut self, _: &mut Vec<u8>) {}

    fn line(&mut self, line: &Line, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"type\":\"transition\",\"v\":1,\"time\":\"");
        self.clock.write(line.time_ns, out);
        number(b"\",\"cookie\":", line.cookie, out);
        number(b",\"netns\":", Some(line.netns), out);
        token(b",\"family\":", line.ends.family(), out);
        place(b",\"local_addr\":", line.ends.local.addr, out);
        number(b",\"local_port\":", line.ends.local.port, out);
        place(b",\"remote_addr\":", line.ends.remote.addr, out);
        number(b",\"remote_port\":", line.ends.remote.port, out);
        token(b",\"from\":", Some(line.from.name()), out);
        token(b",\"to\":", Some(line.to.name()), out);
        number(b",\"dwell_ns\":", line.dwell.exact(), out);
        number(b",\"pid\":", line.opener.map(|task| task.pid), out);
        out.extend_from_slice(b",\"comm\":");
        match &line.opener {
            Some(task) => self.names.write_quoted(&task.comm, out),
            None => out.extend_from_slice(b"null"),
        }
        token(b",\"role\":", Some(line.role.token()), out);
        token(b",\"end\":", line.end.map(|end| end.token()), out);
        number(b",\"dwell_min_ns\":", line.dwell.at_least(), out);
        number(b",\"dwell_max_ns\":", line.dwell.at_most(), out);
        number(b",\"tid\":", line.opener.map(|task| task.tid), out);
        number(b",\"start_time_ns\":", line.opener.map(|task| task.start_ns), out);
        number(b",\"error\":", line.error, out);
        out.extend_from_slice(b",\"mini_socket\":");
        out.extend_from_slice(if line.mini_socket { b"true}\n" } else { b"false}\n" });
    }

    fn end(&mut self, summary: &Summary, out: &mut Vec<u8>) {
        // Writing to a Vec cannot fail.
        let _ = write_line(out, &SummaryObject::new(summary));
    }
}

// Inlined, so that the lengths of keys are constants: dozens of copies of a few bytes each are what
// a line costs.

#[inline(always)]
fn number(key: &[u8], number: Option<impl itoa::Integer>, out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    match number {
        Some(number) => integer(number, out),
        None => out.extend_from_slice(b"null"),
    }
}

/// A word of this program's own, which needs no escape.
#[inline(always)]
fn token(key: &[u8], token: Option<&str>, out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    match token {
        Some(token) => {
            out.push(b'"');
            out.extend_from_slice(token.as_bytes());
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

#[inline(always)]
fn place(key: &[u8], addr: Option<IpAddr>, out: &mut Vec<u8>) {
    out.extend_from_slice(key);
    match addr {
        Some(addr) => {
            out.push(b'"');
            address(addr, out);
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

#[derive(Serialize)]
struct SummaryObject<'a> {
    r#type: &'static str,
    v: u32,
    time: String,
    command: &'static str,
    kernel: &'a str,
    traced_ns: u64,
    events: u64,
    shown: u64,
    odd: u64,
    lost: BTreeMap<&'a str, u64>,
    degradations: Vec<&'a str>,
}

impl<'a> SummaryObject<'a> {
    fn new(summary: &'a Summary) -> Self {
        Self {
            r#type: "summary",
            v: 1,
            time: rfc3339(summary.time_ns),
            command: "stream",
            kernel: &summary.kernel,
            traced_ns: summary.traced_ns,
            events: summary.events,
            shown: summary.shown,
            odd: summary.odd,
            lost: summary.lost.iter().map(|(token, count)| (token.as_ref(), *count)).collect(),
            degradations: summary.degradations.iter().map(|lack| lack.token.as_ref()).collect(),
        }
    }
}

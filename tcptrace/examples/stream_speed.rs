//! How fast `stream` makes lines of records: decode, classify, filter, format. CPU time of one core.
//!
//!     cargo run --release --package=tcptrace --example=stream_speed

use std::mem::zeroed;

use anyhow::Result;
use jiff::tz::TimeZone;
use tcptrace::lifecycle::event::{Event, decode};
use tcptrace::lifecycle::filter::Filter;
use tcptrace::lifecycle::socket::State;
use tcptrace::lifecycle::stream::{Frame, TimeColumn};
use tcptrace::output::stream::{Json, Lines, Style, Table};
use tcptrace_common::Wire as _;
use tcptrace_common::record::{TransitionRecord, kind};

const RECORDS: usize = 2_000_000;

fn record(number: u64, family: u16) -> TransitionRecord {
    let mut record = TransitionRecord {
        kind: kind::TRANSITION,
        from: 1,
        to: if number.is_multiple_of(2) { 8 } else { 7 },
        role: 2,
        netns: 4_026_531_840,
        time_ns: 1_000_000_000_000 + number * 1000,
        dwell_ns: 1_234_567 + number,
        cookie: 123_456 + number,
        ..TransitionRecord::default()
    };
    let octets = number.to_be_bytes();
    record.tuple.family = family;
    record.tuple.local_addr = [32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    record.tuple.remote_addr = record.tuple.local_addr;
    record.tuple.remote_addr[8..].copy_from_slice(&octets);
    (record.tuple.local_port, record.tuple.remote_port) = (443, 51_234);
    (record.opener.pid, record.opener.tid, record.opener.start_ns) = (4244, 4245, 77);
    record.opener.comm[..5].copy_from_slice(b"nginx");
    record
}

/// CPU time of this process, s.
fn cpu_seconds() -> f64 {
    // SAFETY: `timespec` is two integers.
    let mut time: libc::timespec = unsafe { zeroed() };
    // SAFETY: a valid pointer; this clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn measure(what: &str, mut format: impl Lines, family: u16) -> Result<()> {
    let wall_offset_ns = 1_795_313_880_000_000_000;
    let frame = Frame { started_ns: 0, wall_offset_ns };
    let filter = Filter::<State> { local_ports: vec![443..=443], ..Filter::default() };
    let records: Vec<_> = (0..1000).map(|number| record(number, family)).collect();
    let (mut out, mut bytes) = (Vec::with_capacity(1 << 20), 0);
    let begun = cpu_seconds();
    for record in records.iter().cycle().take(RECORDS) {
        let Event::Transition(transition) = decode(&mut record.as_bytes())?;
        let line = frame.line(&transition);
        if filter.matches_socket(&line) {
            format.line(&line, &mut out);
        }
        if out.len() > 256 << 10 {
            bytes += out.len();
            out.clear();
        }
    }
    let seconds = cpu_seconds() - begun;
    println!(
        "{what}: {:.2} million records/s, {:.0} ns and {} bytes each",
        RECORDS as f64 / seconds / 1e6,
        seconds / RECORDS as f64 * 1e9,
        (bytes + out.len()) / RECORDS
    );
    Ok(())
}

fn main() -> Result<()> {
    for (family, name) in [(2, "IPv4"), (10, "IPv6")] {
        measure(&format!("JSON, {name}"), Json::new(), family)?;
        let style = Style { width: 100, time: TimeColumn::Wall, color: false, zone: TimeZone::UTC };
        measure(&format!("table, {name}"), Table::new(style), family)?;
    }
    Ok(())
}

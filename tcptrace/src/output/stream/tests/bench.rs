//! How fast lines are made. Run with
//! `cargo test --release -p tcptrace --lib -- --ignored --nocapture records_a_second`.

use std::time::Instant;

use tcptrace_common::Wire as _;
use tcptrace_common::record::{TransitionRecord, kind};

use super::*;
use crate::lifecycle::event::{Event, decode};
use crate::lifecycle::filter::Filter;
use crate::lifecycle::socket::State;
use crate::lifecycle::stream::Frame;

const RECORDS: u64 = 2_000_000;

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

fn measure(what: &str, mut format: impl Lines, family: u16) {
    let frame =
        Frame { started_ns: 0, wall_offset_ns: 1_795_313_880_000_000_000, mini_sockets: true };
    let filter = Filter::<State> { local_ports: vec![443..=443], ..Filter::default() };
    let mut out = Vec::with_capacity(1 << 20);
    let records: Vec<_> = (0..1000).map(|number| record(number, family)).collect();
    let (begun, mut bytes) = (Instant::now(), 0);
    for number in 0..RECORDS {
        let record = &records[usize::try_from(number % 1000).unwrap()];
        let Event::Transition(transition) = decode(&mut record.as_bytes()).unwrap();
        let line = frame.line(&transition);
        if filter.matches_socket(&line) {
            format.line(&line, &mut out);
        }
        if out.len() > 256 << 10 {
            bytes += out.len();
            out.clear();
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "{what}: {:.2} million records/s, {:.0} ns and {} bytes each",
        RECORDS as f64 / seconds / 1e6,
        seconds / RECORDS as f64 * 1e9,
        (bytes + out.len()) as u64 / RECORDS
    );
}

#[test]
#[ignore = "a measurement"]
fn records_a_second() {
    for (family, name) in [(2, "IPv4"), (10, "IPv6")] {
        measure(&format!("JSON, {name}"), Json::new(), family);
        measure(&format!("table, {name}"), Table::new(style(100)), family);
    }
}

use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde_json::{Map, Value};

use super::*;
use crate::lifecycle::dwell::report::Scope;
use crate::lifecycle::text::is_hazard;
use crate::output::golden::assert_golden;

fn print(format: &mut dyn HistOutput, reports: &[HistReport]) -> String {
    let mut out = Vec::new();
    for report in reports {
        format.write(report, &mut out).unwrap();
    }
    String::from_utf8(out).unwrap()
}

fn table(style: HistStyle, report: HistReport) -> String {
    print(&mut HistTable::new(style), &[report])
}

fn objects(report: &HistReport) -> Vec<Map<String, Value>> {
    let text = print(&mut Json, std::slice::from_ref(report));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn tables_look_as_agreed() {
    assert_golden("hist.txt", &table(HistStyle::default(), fixtures::by_state()));
    assert_golden("hist_by.txt", &table(HistStyle::default(), fixtures::by_comm()));
    let color = HistStyle { color: true, top: 2, ..HistStyle::default() };
    assert_golden("hist_color.txt", &table(color, fixtures::by_comm()));
    assert_golden("hist_empty.txt", &table(HistStyle::default(), fixtures::empty()));
}

#[test]
fn tables_fit() {
    for report in [fixtures::by_state(), fixtures::by_comm(), fixtures::empty()] {
        for width in [60, 80, 100, HistStyle::WIDE] {
            let text = table(HistStyle { width, ..HistStyle::default() }, report.clone());
            let widest = text.lines().map(|line| line.chars().count()).max();
            // The numbers themselves are not cut.
            assert!(widest <= Some(width.max(76)), "{width}: {text}");
        }
    }
}

#[test]
fn a_second_report_is_set_apart() {
    let reports = [fixtures::by_state(), fixtures::by_state()];
    let text = print(&mut HistTable::new(HistStyle::default()), &reports);
    assert_eq!(text.matches("\n\ntcptrace hist").count(), 1);
}

#[test]
fn who_is_stuck_stands_below_its_state() {
    let text = table(HistStyle::default(), fixtures::by_state());
    let lines: Vec<&str> = text.lines().collect();
    let at = lines.iter().position(|line| line.starts_with("CLOSE_WAIT")).unwrap();
    assert!(lines[at + 1].starts_with("  still in state      40"), "{text}");
    assert!(lines[at + 2].contains("of unknown age") && lines[at + 2].contains(" 1 "), "{text}");
    let last_ack = lines.iter().find(|line| line.starts_with("LAST_ACK")).unwrap();
    assert!(last_ack.contains(" 0 ") && last_ack.contains(" - "), "no dwell has ended: {text}");
}

#[test]
fn json_lines_look_as_agreed() {
    assert_golden("hist.jsonl", &print(&mut Json, &[fixtures::by_state(), fixtures::by_comm()]));
}

#[test]
fn the_summary_is_last_and_counts_what_came_before() {
    let report = fixtures::by_state();
    let objects = objects(&report);
    let sum = |kind: &str, field: &str| -> u64 {
        let of_kind = objects.iter().filter(|object| object["type"] == kind);
        of_kind.map(|object| object[field].as_u64().unwrap()).sum()
    };
    let (summary, before) = objects.split_last().unwrap();
    assert!(before.iter().all(|object| object["type"] != "summary"));
    assert_eq!(summary["dwells"], sum("histogram", "count"));
    assert_eq!(summary["unknown"], 17);
    let still = sum("still_in_state", "count") + sum("still_in_state", "unknown");
    assert_eq!(summary["still_in_state"], still);
    assert_eq!(still, 42);
}

#[test]
fn what_nobody_looked_for_is_null_and_not_0() {
    let objects = objects(&fixtures::by_comm());
    assert_eq!(objects.last().unwrap()["still_in_state"], Value::Null);
    let still_alone = self::objects(&fixtures::by_state());
    assert!(still_alone.iter().any(|o| o["type"] == "still_in_state" && o["state"] == "LAST_ACK"));
}

#[test]
fn buckets_hold_all_and_end_where_they_say() {
    for object in objects(&fixtures::by_state()) {
        let Some(buckets) = object.get("buckets").and_then(Value::as_array) else { continue };
        let pairs: Vec<(u64, u64)> = buckets
            .iter()
            .map(|pair| (pair[0].as_u64().unwrap(), pair[1].as_u64().unwrap()))
            .collect();
        assert!(pairs.is_sorted(), "{object:?}");
        assert_eq!(pairs.iter().map(|(_, count)| count).sum::<u64>(), object["count"]);
        let (min, max) = (object["min_ns"].as_u64(), object["max_ns"].as_u64());
        if let (Some(first), Some(last)) = (pairs.first(), pairs.last()) {
            assert!(min.unwrap() <= first.0 && max.unwrap() <= last.0, "{object:?}");
        }
    }
}

#[test]
fn nothing_raw_reaches_a_terminal() {
    let report = fixtures::by_comm;
    let log = print(&mut HdrLog::default(), &[report()]);
    for text in [table(HistStyle::default(), report()), print(&mut Json, &[report()]), log] {
        assert!(text.lines().all(|line| !line.contains(is_hazard)), "{text:?}");
    }
}

/// The tag, the start, the length and the histogram of each line.
fn read_back(log: &str) -> Vec<(String, u64, u64, Histogram<u64>)> {
    let mut lines = Vec::new();
    for entry in IntervalLogIterator::new(log.as_bytes()) {
        let LogEntry::Interval(line) = entry.unwrap() else { continue };
        let encoded = decode_base64(line.encoded_histogram());
        let histogram = Deserializer::new().deserialize(&mut &encoded[..]).unwrap();
        let tag = line.tag().map(|tag| tag.as_str().to_owned()).unwrap_or_default();
        let (start, length) = (line.start_timestamp().as_secs(), line.duration().as_secs());
        lines.push((tag, start, length, histogram));
    }
    lines
}

/// RFC 4648.
fn decode_base64(text: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.trim_end_matches('=').chars().map(|digit| DIGITS.find(digit).unwrap());
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in digits {
        bits = bits << 6 | u32::try_from(digit).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xff) as u8);
        }
    }
    bytes
}

#[test]
fn the_log_reads_back_as_it_was_counted() {
    let mut log = HdrLog::default();
    let first = fixtures::by_state();
    let second = HistReport {
        made_at_ns: first.made_at_ns + 42_000_000_000,
        scope: Scope::Interval,
        ..fixtures::by_comm()
    };
    let text = print(&mut log, &[first.clone(), second]);
    assert_eq!(text.lines().filter(|line| line.starts_with('#')).count(), 4, "one head: {text}");
    let start = 1_795_313_880 - 42;
    assert!(text.contains(&format!("#[StartTime: {start}.000 ")), "{text}");
    let lines = read_back(&text);
    let tags: Vec<&str> = lines.iter().map(|(tag, ..)| tag.as_str()).collect();
    assert_eq!(tags[..3], ["SYN_SENT", "SYN_RECV", "ESTABLISHED"]);
    assert!(tags.contains(&"CLOSE_WAIT;comm=java"), "{tags:?}");
    assert!(tags.contains(&"ESTABLISHED;comm=-") && tags.contains(&"ESTABLISHED;other"));
    assert!(tags.contains(&"ESTABLISHED;comm=a\\x2cb\\x1b[2J\\x20c"), "{tags:?}");
    let (_, began, length, close_wait) =
        lines.iter().find(|(tag, ..)| tag == "CLOSE_WAIT").unwrap();
    assert_eq!((*began, *length, close_wait.len()), (start, 42, 1200));
    let tenths = close_wait.value_at_quantile(0.99).abs_diff(300_000_000);
    assert!(tenths < 300_000_000 / 50, "{tenths}");
    assert!(lines.iter().any(|(_, began, length, _)| (*began, *length) == (start + 74, 10)));
}

#[test]
fn a_log_of_nothing_has_a_head() {
    let text = print(&mut HdrLog::default(), &[fixtures::empty()]);
    assert!(read_back(&text).is_empty());
    assert_eq!(text.lines().count(), 5, "{text}");
}

use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::*;
use crate::lifecycle::stream::TimeColumn;
use crate::lifecycle::text::is_hazard;
use crate::output::cell;
use crate::output::golden::assert_golden;

mod document;

fn shown(mut format: impl Lines, lines: &[Line]) -> String {
    let mut out = Vec::new();
    format.head(&mut out);
    lines.iter().for_each(|line| format.line(line, &mut out));
    format.end(&fixtures::summary(), &mut out);
    String::from_utf8(out).unwrap()
}

fn style(width: usize) -> Style {
    Style { width, time: TimeColumn::Wall, color: false, zone: TimeZone::UTC }
}

fn all() -> Vec<Line> {
    [fixtures::ipv4(), fixtures::ipv6(), fixtures::odd()].concat()
}

fn table(width: usize, lines: &[Line]) -> String {
    shown(Table::new(style(width)), lines)
}

#[test]
fn tables_look_as_agreed() {
    assert_golden("stream.txt", &table(100, &fixtures::ipv4()));
    assert_golden("stream_ipv6.txt", &table(100, &fixtures::ipv6()));
    assert_golden("stream_odd.txt", &table(100, &fixtures::odd()));
    assert_golden("stream_wide.txt", &table(usize::MAX, &all()));
}

#[test]
fn other_times_look_as_agreed() {
    let with = |time| shown(Table::new(Style { time, ..style(100) }), &fixtures::ipv4());
    assert_golden("stream_relative.txt", &with(TimeColumn::Relative));
    assert_golden("stream_no_time.txt", &with(TimeColumn::None));
}

#[test]
fn json_lines_look_as_agreed() {
    assert_golden("stream.jsonl", &shown(Json::new(), &all()));
}

#[test]
fn lines_keep_within_their_width() {
    for time in [TimeColumn::Wall, TimeColumn::Relative, TimeColumn::None] {
        let text = shown(Table::new(Style { time, ..style(100) }), &all());
        for line in text.lines() {
            assert!(cell::width(line) <= 100, "{}: {line}", cell::width(line));
        }
    }
}

#[test]
fn even_a_silly_width_is_no_panic() {
    for width in 0..100 {
        table(width, &all());
    }
}

#[test]
fn one_line_a_transition() {
    assert_eq!(table(100, &all()).lines().count(), all().len() + 1);
    assert_eq!(shown(Json::new(), &all()).lines().count(), all().len() + 1);
}

#[test]
fn wide_lines_cut_nothing() {
    let text = table(usize::MAX, &all());
    assert!(!text.contains('…'), "{text}");
    assert!(text.contains("[2001:db8:1234:5678:9abc:def0:1234:5678]:51234"));
}

#[test]
fn nothing_raw_reaches_the_terminal() {
    for text in [table(100, &all()), table(usize::MAX, &all()), shown(Json::new(), &all())] {
        assert!(text.lines().all(|line| !line.contains(is_hazard)), "{text:?}");
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    let mut text = shown(Table::new(Style { color: true, ..style(100) }), &all());
    assert!(text.contains('\x1b'));
    while let Some(start) = text.find('\x1b') {
        let end = start + text[start..].find('m').unwrap();
        text.replace_range(start..=end, "");
    }
    assert_eq!(text, table(100, &all()));
}

#[test]
fn an_unknown_is_never_a_number() {
    let unknown = &fixtures::odd()[2];
    let text = shown(Json::new(), std::slice::from_ref(unknown));
    let object: Map<String, Value> = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    for field in [
        "cookie",
        "family",
        "local_addr",
        "local_port",
        "remote_addr",
        "remote_port",
        "dwell_ns",
        "dwell_min_ns",
        "dwell_max_ns",
        "pid",
        "tid",
        "start_time_ns",
        "comm",
        "end",
        "error",
    ] {
        assert_eq!(object[field], Value::Null, "{field}");
    }
}

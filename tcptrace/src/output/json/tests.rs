use serde_json::{Map, Value};

use super::*;
use crate::output::fixtures;
use crate::output::golden::assert_golden;

pub mod document;

fn text(report: &Report) -> String {
    let mut out = Vec::new();
    Json.write(report, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn objects(report: &Report) -> Vec<Map<String, Value>> {
    text(report).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn lines_look_as_agreed() {
    assert_golden("full.jsonl", &text(&fixtures::full()));
    assert_golden("empty.jsonl", &text(&fixtures::empty()));
}

#[test]
fn the_summary_is_last_and_counts_what_came_before() {
    let objects = objects(&fixtures::full());
    let count = |kind: &str| objects.iter().filter(|object| object["type"] == kind).count();
    let (summary, before) = objects.split_last().unwrap();
    assert_eq!(summary["type"], "summary");
    assert!(before.iter().all(|object| object["type"] != "summary"));
    assert_eq!((count("leak"), count("group")), (10, 6));
    assert_eq!((&summary["leaks"], &summary["half_closed"]), (&9.into(), &1.into()));
    assert_eq!(summary["lost"]["ring_full"], 3);
}

#[test]
fn type_and_version_come_first() {
    for line in text(&fixtures::full()).lines() {
        assert!(
            line.starts_with("{\"type\":\"") && line.contains("\",\"v\":1,\"time\":"),
            "{line}"
        );
    }
}

#[test]
fn unknown_is_null() {
    let objects = objects(&fixtures::full());
    let dead = objects.iter().find(|object| object["cause"] == "dead-reset").unwrap();
    for field in ["local_port", "age_ns", "age_max_ns", "unread_bytes", "opener", "eof"] {
        assert_eq!(dead[field], Value::Null, "{field}");
    }
    assert_eq!(dead["age_exact"], false);
}

#[test]
fn no_limit_is_null() {
    let objects = objects(&fixtures::full());
    let group = objects.iter().find(|object| object["group"] == "eof-read:python3").unwrap();
    assert_eq!(group["type"], "leak");
    let group = objects.iter().find(|o| o["type"] == "group" && o["fds"]["pid"] == 2576).unwrap();
    assert_eq!(group["fds"]["limit"], Value::Null);
}

#[test]
fn every_leak_names_a_group_that_follows() {
    let objects = objects(&fixtures::full());
    for leak in objects.iter().filter(|object| object["type"] == "leak") {
        let mut groups = objects.iter().filter(|object| object["type"] == "group");
        assert!(groups.any(|group| group["group"] == leak["group"]));
    }
}

#[test]
fn nothing_raw_reaches_the_terminal() {
    use crate::lifecycle::text::is_hazard;
    let text = text(&fixtures::full());
    assert!(text.lines().all(|line| !line.contains(is_hazard)), "{text:?}");
    assert!(text.contains("\\u202e") && text.contains("\\u009b"));
}

//! `docs/json.md` against the code, in both directions.

use std::collections::{BTreeMap, BTreeSet};

use tcptrace_common::counter::Counter;

use super::*;
use crate::kernel::counters::RECURSION;
use crate::kernel::damage::DAMAGED;
use crate::kernel::hooks::HOOKS;
use crate::lifecycle::ability::{Check, Fact, HookAbility, KeptCapability, Presence};
use crate::lifecycle::cause::Cause;

const DOCUMENT: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/json.md"));

/// A row of a table: name, type, and the section that its meaning links to.
struct Row {
    name: String,
    kind: String,
    link: Option<String>,
}

/// The tables, by the heading above them.
fn tables() -> BTreeMap<String, Vec<Row>> {
    let mut tables: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    let mut heading = String::new();
    for line in DOCUMENT.lines() {
        if let Some(text) = line.strip_prefix("## ") {
            heading = text.to_owned();
        } else if line.starts_with("| `") {
            tables.entry(heading.clone()).or_default().push(row(line));
        }
    }
    tables
}

fn row(line: &str) -> Row {
    let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
    let link = cells.last().and_then(|cell| cell.split("](#").nth(1));
    Row {
        name: cells[0].trim_matches('`').to_owned(),
        kind: cells[1].to_owned(),
        link: link.and_then(|rest| rest.split(')').next()).map(str::to_owned),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// Fails where `object` is not as section `section` says: fields, their order, their types.
pub fn assert_documented(object: &Map<String, Value>, section: &str) {
    let tables = tables();
    let rows = tables.get(section).unwrap_or_else(|| panic!("docs/json.md has no '## {section}'"));
    let documented: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    let written: Vec<&str> = object.keys().map(String::as_str).collect();
    assert_eq!(written, documented, "fields of {section}: written, documented");
    for row in rows {
        let (value, name) = (&object[&row.name], &row.name);
        assert_type(value, row, section);
        // What is in these are keys, not fields; other tests are about them.
        let has_keys = ["lost", "key", "evidence", "parts"].contains(&name.as_str());
        for nested in nested(value).into_iter().filter(|_| !has_keys) {
            let link = row.link.as_deref();
            assert_documented(nested, link.unwrap_or_else(|| panic!("{section}.{name}: no link")));
        }
    }
}

/// The names in the table of a section.
pub fn documented(section: &str) -> Vec<String> {
    tables()[section].iter().map(|row| row.name.clone()).collect()
}

fn assert_type(value: &Value, row: &Row, section: &str) {
    let allowed: Vec<&str> = row.kind.split(" or ").collect();
    let (name, kind) = (&row.name, &row.kind);
    assert!(allowed.contains(&type_of(value)), "{section}.{name} is {value}, not {kind}");
}

/// The objects in a field.
fn nested(value: &Value) -> Vec<&Map<String, Value>> {
    match value {
        Value::Object(map) => vec![map],
        Value::Array(items) => items.iter().filter_map(Value::as_object).collect(),
        _ => vec![],
    }
}

#[test]
fn each_object_is_as_documented() {
    for report in [fixtures::full(), fixtures::empty(), fixtures::populated()] {
        for object in objects(&report) {
            let section = object["type"].as_str().unwrap().to_owned();
            assert_documented(&object, &section);
        }
    }
}

/// The fields of a key differ with `--by`; all of them are in one section.
#[test]
fn each_object_of_states_is_as_documented() {
    let section = &tables()["key of state_count"];
    let mut met = BTreeSet::new();
    for mut object in crate::output::census::tests::documented() {
        if object["type"] == "summary" {
            assert_documented(&object, "summary of states");
            continue;
        }
        let key = std::mem::take(object["key"].as_object_mut().unwrap());
        for (name, value) in key {
            let row = section.iter().find(|row| row.name == name);
            let row = row.unwrap_or_else(|| panic!("docs/json.md has no key.{name}"));
            assert_type(&value, row, "key of state_count");
            met.insert(name);
        }
        assert_documented(&object, "state_count");
    }
    let documented: BTreeSet<String> = section.iter().map(|row| row.name.clone()).collect();
    assert_eq!(met, documented, "fields of a key: written, documented");
}

#[test]
fn each_object_of_check_is_as_documented() {
    let hook = |presence| HookAbility {
        name: "eof".to_owned(),
        point: "tp_btf/sock_recv_length".to_owned(),
        presence,
        purpose: "sees the read that returns end-of-file".to_owned(),
        cost: Some("who read end-of-file stays unknown".to_owned()),
    };
    let check = Check {
        facts: vec![Fact { name: "kernel", value: "6.1".to_owned(), cost: None }],
        kept: vec![KeptCapability {
            name: "CAP_SYS_PTRACE",
            held: true,
            kept_by: vec!["leaks"],
            purpose: "reads what /proc says of others",
        }],
        hooks: vec![hook(Presence::Present), hook(Presence::Missing("none".to_owned()))],
        failure: None,
    };
    let mut out = Vec::new();
    crate::output::check::json(&check, &mut out).unwrap();
    for line in String::from_utf8(out).unwrap().lines() {
        let object: Map<String, Value> = serde_json::from_str(line).unwrap();
        assert_documented(&object, object["type"].as_str().unwrap());
    }
}

#[test]
fn each_object_of_hist_is_as_documented() {
    use crate::output::hist::{HistOutput as _, Json, fixtures};
    for report in [fixtures::by_state(), fixtures::by_comm(), fixtures::empty()] {
        let mut out = Vec::new();
        Json.write(&report, &mut out).unwrap();
        for line in String::from_utf8(out).unwrap().lines() {
            let object: Map<String, Value> = serde_json::from_str(line).unwrap();
            match object["type"].as_str().unwrap() {
                "summary" => assert_documented(&object, "summary of hist"),
                section => assert_documented(&object, section),
            }
        }
    }
}

#[test]
fn each_object_of_doctor_is_as_documented() {
    for object in crate::output::doctor::tests::documented() {
        match object["type"].as_str().unwrap() {
            "summary" => assert_documented(&object, "summary of doctor"),
            section => assert_documented(&object, section),
        }
    }
    assert_eq!(documented("evidence"), crate::doctor::finding::KEYS);
}

#[test]
fn the_sample_leaves_no_field_unchecked() {
    let all = objects(&fixtures::populated());
    let group = all.iter().find(|object| object["type"] == "group").unwrap();
    for object in [&all[0], group] {
        for (name, value) in object {
            assert!(!value.is_null() && *value != Value::Array(vec![]), "{name} is empty");
        }
    }
}

#[test]
fn each_cause_is_documented_and_no_other() {
    let documented: Vec<String> = tables()["causes"].iter().map(|row| row.name.clone()).collect();
    let known: Vec<&str> = Cause::ALL.iter().map(|cause| cause.token()).collect();
    assert_eq!(documented, known);
}

#[test]
fn each_loss_is_documented() {
    let documented: Vec<String> = tables()["losses"].iter().map(|row| row.name.clone()).collect();
    let counted = Counter::ALL.iter().filter(|counter| counter.is_loss());
    for token in counted.map(|counter| counter.token()).chain([RECURSION, DAMAGED]) {
        assert!(documented.iter().any(|name| name == token), "{token}");
    }
}

#[test]
fn what_each_hook_costs_is_documented() {
    let documented = &tables()["degradations"];
    for hook in &HOOKS {
        assert!(documented.iter().any(|row| row.name == hook.degradation), "{}", hook.degradation);
    }
}

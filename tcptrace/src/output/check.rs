//! The answer of `check`, as a table and as JSON Lines.

use std::io::{self, Write};

use serde::Serialize;

use super::cell;
use super::escape::write_line;
use crate::lifecycle::ability::{Check, Presence};

/// Columns that a line may take.
const WIDTH: usize = 100;
/// Column in which explanations begin.
const INDENT: usize = 4;

/// For people.
///
/// # Errors
///
/// Whatever `out` fails with.
pub fn table(check: &Check, out: &mut dyn Write) -> io::Result<()> {
    for fact in &check.facts {
        line(out, &format!("{:<24} {}", fact.name, fact.value))?;
        explain(out, "", fact.cost.as_deref())?;
    }
    for kept in &check.kept {
        let held = if kept.held { "kept by" } else { "not held; kept by" };
        line(out, &format!("{:<24} {held} {}", kept.name, kept.kept_by.join(", ")))?;
        explain(out, "", Some(kept.purpose))?;
    }
    for hook in &check.hooks {
        let presence = hook.presence.token();
        line(out, &format!("{:<32} {presence:<10} {}", hook.point, hook.purpose))?;
        match &hook.presence {
            Presence::Present => {}
            Presence::Fallback(form) => explain(out, "", Some(form))?,
            Presence::Missing(reason) => {
                explain(out, "why: ", Some(reason))?;
                explain(out, "cost: ", hook.cost.as_deref())?;
            }
        }
    }
    match &check.failure {
        None => line(out, "tcptrace leaks works on this host"),
        Some(failure) => {
            line(out, "tcptrace leaks does not work on this host:")?;
            explain(out, "", Some(failure))
        }
    }
}

fn line(out: &mut dyn Write, text: &str) -> io::Result<()> {
    writeln!(out, "{}", cell::cut(&cell::safe(text), WIDTH).trim_end())
}

/// An explanation, its words flowing over as many lines as they need.
fn explain(out: &mut dyn Write, label: &str, text: Option<&str>) -> io::Result<()> {
    let Some(text) = text else { return Ok(()) };
    let words: Vec<String> =
        format!("{label}{}", cell::safe(text)).split_whitespace().map(str::to_owned).collect();
    for words in cell::flow(&words, " ", WIDTH - INDENT) {
        writeln!(out, "{:INDENT$}{words}", "")?;
    }
    Ok(())
}

#[derive(Serialize)]
struct FactObject<'a> {
    r#type: &'a str,
    v: u32,
    name: &'a str,
    value: &'a str,
    cost: Option<&'a str>,
}

#[derive(Serialize)]
struct CapabilityObject<'a> {
    r#type: &'a str,
    v: u32,
    name: &'a str,
    held: bool,
    kept_by: &'a [&'a str],
    purpose: &'a str,
}

#[derive(Serialize)]
struct HookObject<'a> {
    r#type: &'a str,
    v: u32,
    name: &'a str,
    point: &'a str,
    status: &'a str,
    detail: Option<&'a str>,
    purpose: &'a str,
    cost: Option<&'a str>,
}

#[derive(Serialize)]
struct VerdictObject<'a> {
    r#type: &'a str,
    v: u32,
    usable: bool,
    failure: Option<&'a str>,
}

/// JSON Lines: `fact` objects, `capability` objects, `hook` objects, last a `verdict`.
///
/// # Errors
///
/// Whatever `out` fails with.
pub fn json(check: &Check, out: &mut dyn Write) -> io::Result<()> {
    for fact in &check.facts {
        let (name, value, cost) = (fact.name, fact.value.as_str(), fact.cost.as_deref());
        write_line(out, &FactObject { r#type: "fact", v: 1, name, value, cost })?;
    }
    for kept in &check.kept {
        let object = CapabilityObject {
            r#type: "capability",
            v: 1,
            name: kept.name,
            held: kept.held,
            kept_by: &kept.kept_by,
            purpose: kept.purpose,
        };
        write_line(out, &object)?;
    }
    for hook in &check.hooks {
        let object = HookObject {
            r#type: "hook",
            v: 1,
            name: &hook.name,
            point: &hook.point,
            status: hook.presence.token(),
            detail: hook.presence.detail(),
            purpose: &hook.purpose,
            cost: hook.cost.as_deref(),
        };
        write_line(out, &object)?;
    }
    let failure = check.failure.as_deref();
    write_line(out, &VerdictObject { r#type: "verdict", v: 1, usable: failure.is_none(), failure })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::ability::{Fact, HookAbility, KeptCapability};

    fn check() -> Check {
        let hook = |presence| HookAbility {
            name: "eof".to_owned(),
            point: "tp_btf/sock_recv_length".to_owned(),
            presence,
            purpose: "sees the read that returns end-of-file".to_owned(),
            cost: Some("who read end-of-file stays unknown".to_owned()),
        };
        Check {
            facts: vec![Fact { name: "kernel", value: "6.1.0\x1b[31m".to_owned(), cost: None }],
            kept: vec![KeptCapability {
                name: "CAP_SYS_PTRACE",
                held: false,
                kept_by: vec!["leaks", "states"],
                purpose: "reads what /proc says of others",
            }],
            hooks: vec![hook(Presence::Present), hook(Presence::Missing("none here".to_owned()))],
            failure: None,
        }
    }

    #[test]
    fn a_table_names_why_and_what_it_costs() {
        let mut out = Vec::new();
        table(&check(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains('\x1b'), "{text}");
        assert!(text.contains("    why: none here\n    cost: who read end-of-file"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        let kept = "CAP_SYS_PTRACE           not held; kept by leaks, states\n    reads what /proc";
        assert!(text.contains(kept), "{text}");
        assert_eq!(text.matches("cost:").count(), 1, "only what is missing costs");
    }

    #[test]
    fn every_json_line_is_an_object_and_the_last_is_the_verdict() {
        let mut out = Vec::new();
        json(&check(), &mut out).unwrap();
        let lines: Vec<serde_json::Value> = String::from_utf8(out)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let kinds: Vec<_> = lines.iter().map(|line| line["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["fact", "capability", "hook", "hook", "verdict"]);
        assert_eq!(lines[1]["kept_by"], serde_json::json!(["leaks", "states"]));
        assert_eq!(lines[3]["status"], "missing");
        assert_eq!(lines[4]["usable"], true);
    }
}

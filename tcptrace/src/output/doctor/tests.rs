use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use super::*;
use crate::doctor::diagnosis::Diagnosis;
use crate::doctor::finding::{Advice, Change, Culprit, Evidence, Finding, Severity};
use crate::doctor::sysctl::file::check;
use crate::doctor::sysctl::{KernelFacts, find, judge};
use crate::doctor::topic::{ACCEPT_QUEUE, FILE_DESCRIPTORS, TIME_WAIT};
use crate::lifecycle::report::Degradation;
use crate::output::golden::assert_golden;

fn kernel() -> KernelFacts {
    KernelFacts {
        version: (6, 18),
        ehash_entries: Some(262_144),
        memory_bytes: Some(24 << 30),
        page_size: 4096,
    }
}

fn queue() -> Finding {
    let change = Change {
        sysctl: "net.core.somaxconn",
        value: "4096".to_owned(),
        why: "a listener's queue is as long as this allows".into(),
    };
    let culprit = |pid, comm: &str| Culprit {
        pid,
        comm: comm.to_owned(),
        part: "does not accept".to_owned(),
    };
    Finding {
        changes: vec![change],
        ..Finding::new(&ACCEPT_QUEUE, Severity::Warning, "3 connections wait on 10.0.0.1:80")
            .of(4_026_532_256)
            .with("waiting", 3)
            .with("overflows_grown", None)
            .with("to", "10.0.0.1:80".to_owned())
            .blame([culprit(Some(4244), "java\x1b[31m"), culprit(None, "")])
            .advise("allow longer queues", Some("sysctl -w net.core.somaxconn='4096'".to_owned()))
    }
}

fn diagnosis() -> Diagnosis {
    let descriptors = Finding {
        advice: vec![Advice { what: "mend the program".to_owned(), command: None }],
        ..Finding::new(&FILE_DESCRIPTORS, Severity::Critical, "java[4244] has 1003 of 1024 open")
            .with("used", 1003)
            .with("per_minute", Evidence::Rate(3.125))
            .with("exhausted_in_ns", 11_520_000_000_000)
    };
    let time_wait = Finding::new(&TIME_WAIT, Severity::Ok, "8213 sockets in TIME_WAIT: harmless");
    let setting =
        |name, value, changes: &[Change]| judge(find(name).unwrap(), value, &kernel(), changes);
    let queue = queue();
    Diagnosis {
        wall_ns: 1_795_313_880_000_000_001,
        window_ns: 1_000_000_000,
        kernel: "6.18.0".to_owned(),
        namespaces: 2,
        judged: 4_026_531_833,
        sockets: 8300,
        verdicts: vec![
            setting("somaxconn", Some("128"), &queue.changes),
            setting("tcp_syncookies", Some("0"), &[]),
            setting("tcp_keepalive_time", Some("600"), &[]),
            setting("tcp_fin_timeout", Some("60"), &[]),
            setting("tcp_tw_reuse", Some("2"), &[]),
            setting("tcp_tw_recycle", None, &[]),
        ],
        findings: vec![descriptors, queue, time_wait],
        advice: None,
        unseen: vec![Degradation {
            token: "own-namespace-only".into(),
            sentence: "other network namespaces are not read".to_owned(),
        }],
    }
}

fn with_file() -> Diagnosis {
    let text = b"net.ipv4.tcp_tw_recycle = 1\nnet.core.somaxconn = 4096\n\x1b[2Jrm\n";
    let changes = queue().changes;
    let lines = check(text, &|_| Some("128".to_owned()), &kernel(), &changes);
    Diagnosis { advice: Some(lines), ..diagnosis() }
}

fn style() -> Style {
    Style { width: Style::DEFAULT_WIDTH, color: false, zone: TimeZone::UTC }
}

/// Every object, for the test that holds them against `docs/json.md`.
pub fn documented() -> Vec<Map<String, Value>> {
    let mut out = Vec::new();
    json(&with_file(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn the_table_says_what_is_wrong_first() {
    assert_golden("doctor.txt", &table(&diagnosis(), &style()));
}

#[test]
fn a_file_is_answered_line_by_line() {
    assert_golden("doctor_file.txt", &table(&with_file(), &style()));
}

#[test]
fn nothing_gets_through_that_is_not_meant_to_be_printed_and_nothing_is_too_wide() {
    for diagnosis in [diagnosis(), with_file(), Diagnosis::default()] {
        let text = table(&diagnosis, &style());
        assert!(!text.contains('\x1b'), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
    assert!(table(&diagnosis(), &Style { color: true, ..style() }).contains("\x1b["));
}

#[test]
fn a_host_where_nothing_is_wrong_is_told_so() {
    let mut fine = diagnosis();
    fine.findings.retain(|finding| finding.severity == Severity::Ok);
    assert!(!fine.is_ill() && diagnosis().is_ill());
    let text = table(&fine, &style());
    assert!(text.starts_with("tcptrace doctor · nothing wrong is seen"), "{text}");
    fine.unseen.clear();
    let text = table(&fine, &style());
    assert!(text.starts_with("tcptrace doctor · nothing is wrong"), "{text}");
}

#[test]
fn unknown_evidence_is_null() {
    let objects = documented();
    let queue = objects.iter().find(|own| own["id"] == "accept-queue").unwrap();
    assert_eq!(queue["evidence"]["overflows_grown"], Value::Null);
    assert_eq!(queue["evidence"]["waiting"], 3);
    let summary = objects.last().unwrap();
    assert_eq!((&summary["critical"], &summary["fine"]), (&1.into(), &1.into()));
}

#[test]
fn explanations_of_topics_and_settings() {
    let setting = judge(find("tcp_tw_recycle").unwrap(), None, &kernel(), &[]);
    let text = explain(&Subject::Setting(setting), &style());
    assert!(text.starts_with("net.ipv4.tcp_tw_recycle\n") && text.contains("4.12"), "{text}");
    let text = explain(&Subject::Topic(&ACCEPT_QUEUE), &style());
    assert!(text.contains("  rule ") && text.contains("  source "), "{text}");
    let mut out = Vec::new();
    explain_json(&Subject::Topic(&TIME_WAIT), &mut out).unwrap();
    let object: Value = serde_json::from_slice(&out).unwrap();
    assert_eq!((&object["type"], &object["name"]), (&"explanation".into(), &"time-wait".into()));
}

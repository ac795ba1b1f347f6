//! JSON Lines: `finding` objects, `sysctl` objects, `sysctl_line` objects where a file was checked,
//! last a `summary`. `docs/json.md` documents each field, and a test fails when it does not.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::{Serialize, Serializer};

use crate::doctor::diagnosis::Diagnosis;
use crate::doctor::finding::{Evidence, Finding, Severity};
use crate::doctor::sysctl::Verdict;
use crate::doctor::sysctl::file::Line;
use crate::output::escape::write_line;
use crate::output::units::rfc3339;

/// Version of the objects; it changes when a field changes its meaning or goes.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct FindingObject<'a> {
    r#type: &'static str,
    v: u32,
    time: &'a str,
    id: &'static str,
    severity: &'static str,
    title: &'a str,
    netns: Option<u32>,
    evidence: BTreeMap<&'static str, Number<'a>>,
    culprits: Vec<CulpritObject<'a>>,
    explanation: &'static str,
    advice: Vec<AdviceObject<'a>>,
    changes: Vec<ChangeObject<'a>>,
    leave: &'static str,
}

#[derive(Serialize)]
struct CulpritObject<'a> {
    pid: Option<u32>,
    comm: &'a str,
    part: &'a str,
}

#[derive(Serialize)]
struct AdviceObject<'a> {
    what: &'a str,
    command: Option<&'a str>,
}

#[derive(Serialize)]
struct ChangeObject<'a> {
    sysctl: &'static str,
    value: &'a str,
    why: &'a str,
}

#[derive(Serialize)]
struct SysctlObject<'a> {
    r#type: &'static str,
    v: u32,
    time: &'a str,
    name: &'static str,
    value: Option<&'a str>,
    default: Option<&'a str>,
    verdict: &'static str,
    why: &'a str,
}

#[derive(Serialize)]
struct LineObject<'a> {
    r#type: &'static str,
    v: u32,
    time: &'a str,
    line: u64,
    name: &'a str,
    value: &'a str,
    verdict: &'static str,
    why: &'a str,
}

#[derive(Serialize)]
struct Summary<'a> {
    r#type: &'static str,
    v: u32,
    time: &'a str,
    command: &'static str,
    kernel: &'a str,
    critical: u64,
    warnings: u64,
    notices: u64,
    fine: u64,
    sockets: u64,
    namespaces: u64,
    window_ns: u64,
    lost: BTreeMap<&'static str, u64>,
    degradations: Vec<&'a str>,
    checked_at: &'a str,
}

/// What a finding rests on, as JSON has it.
struct Number<'a>(&'a Evidence);

impl Serialize for Number<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Evidence::Count(number) => serializer.serialize_u64(*number),
            Evidence::Rate(rate) => serializer.serialize_f64(*rate),
            Evidence::Text(text) => serializer.serialize_str(text),
            Evidence::Unknown => serializer.serialize_none(),
        }
    }
}

/// Prints it.
///
/// # Errors
///
/// Whatever `out` fails with.
pub fn json(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    let time = rfc3339(diagnosis.wall_ns);
    for own in &diagnosis.findings {
        write_line(out, &finding(own, &time))?;
    }
    for own in &diagnosis.verdicts {
        write_line(out, &sysctl(own, &time))?;
    }
    for own in diagnosis.advice.iter().flatten() {
        write_line(out, &line(own, &time))?;
    }
    write_line(out, &summary(diagnosis, &time))
}

fn finding<'a>(finding: &'a Finding, time: &'a str) -> FindingObject<'a> {
    let culprits = finding.culprits.iter();
    let advice = finding.advice.iter();
    let changes = finding.changes.iter();
    FindingObject {
        r#type: "finding",
        v: VERSION,
        time,
        id: finding.topic.id,
        severity: finding.severity.token(),
        title: &finding.title,
        netns: finding.netns,
        evidence: finding.evidence.iter().map(|(key, value)| (*key, Number(value))).collect(),
        culprits: culprits
            .map(|own| CulpritObject { pid: own.pid, comm: &own.comm, part: &own.part })
            .collect(),
        explanation: finding.topic.explanation,
        advice: advice
            .map(|own| AdviceObject { what: &own.what, command: own.command.as_deref() })
            .collect(),
        changes: changes
            .map(|own| ChangeObject { sysctl: own.sysctl, value: &own.value, why: &own.why })
            .collect(),
        leave: finding.topic.leave,
    }
}

fn sysctl<'a>(verdict: &'a Verdict, time: &'a str) -> SysctlObject<'a> {
    SysctlObject {
        r#type: "sysctl",
        v: VERSION,
        time,
        name: verdict.sysctl.name,
        value: verdict.value.as_deref(),
        default: verdict.default.as_deref(),
        verdict: verdict.word.token(),
        why: &verdict.why,
    }
}

fn line<'a>(line: &'a Line, time: &'a str) -> LineObject<'a> {
    LineObject {
        r#type: "sysctl_line",
        v: VERSION,
        time,
        line: line.number as u64,
        name: &line.name,
        value: &line.wanted,
        verdict: line.word.token(),
        why: &line.why,
    }
}

fn summary<'a>(diagnosis: &'a Diagnosis, time: &'a str) -> Summary<'a> {
    Summary {
        r#type: "summary",
        v: VERSION,
        time,
        command: "doctor",
        kernel: &diagnosis.kernel,
        critical: diagnosis.count(Severity::Critical),
        warnings: diagnosis.count(Severity::Warning),
        notices: diagnosis.count(Severity::Notice),
        fine: diagnosis.count(Severity::Ok),
        sockets: diagnosis.sockets,
        namespaces: diagnosis.namespaces,
        window_ns: diagnosis.window_ns,
        // Everything is read from the kernel's own tables: there is nothing to lose.
        lost: BTreeMap::new(),
        degradations: diagnosis.unseen.iter().map(|lack| lack.token.as_ref()).collect(),
        checked_at: time,
    }
}

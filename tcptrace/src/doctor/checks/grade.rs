//! What checks have in common.

use crate::doctor::facts::{Facts, Namespace};
use crate::doctor::finding::{Change, Finding, Severity};
use crate::doctor::tally::Tally;
use crate::doctor::topic::Topic;

/// The findings, or where there are none, that it looks fine.
pub fn or_fine(
    findings: Vec<Finding>,
    topic: &'static Topic,
    fine: impl FnOnce() -> String,
) -> Vec<Finding> {
    if findings.is_empty() {
        return vec![Finding::new(topic, Severity::Ok, fine())];
    }
    findings
}

/// What a check finds in each namespace whose sockets could be read, or that it looks fine; nothing
/// where none could be.
pub fn in_each<'a, Found: IntoIterator<Item = Finding>>(
    facts: &'a Facts,
    topic: &'static Topic,
    check: impl Fn(&'a Namespace, &'a Tally) -> Found,
    fine: impl FnOnce() -> String,
) -> Vec<Finding> {
    let mut namespaces = facts.read_namespaces().peekable();
    if namespaces.peek().is_none() {
        return Vec::new();
    }
    let findings = namespaces.flat_map(|(namespace, tally)| check(namespace, tally)).collect();
    or_fine(findings, topic, fine)
}

/// The same with a setting of the namespace that would help, and the command that makes it so.
pub fn propose(finding: Finding, namespace: &Namespace, what: &str, change: Change) -> Finding {
    let command = namespace.set(change.sysctl, &change.value);
    let mut finding = finding.advise(what, command);
    finding.changes.push(change);
    finding
}

/// How many of 100.
pub fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).checked_div(whole).unwrap_or(0)
}

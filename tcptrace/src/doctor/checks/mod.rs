//! From facts to findings: one file a group of topics.

mod close_wait;
mod descriptors;
mod grade;
mod host;
mod idle;
mod ports;
mod queues;
mod stuck;
mod time_wait;

use std::cmp::Reverse;

use super::facts::Facts;
use super::finding::{Culprit, Finding};
use super::topic::{TOPICS, Topic};

/// Culprits of a finding that are named.
const MOST_CULPRITS: usize = 8;

/// Looks at everything. The worst comes first; what looks fine comes last. What could not be seen
/// has no finding.
#[must_use]
pub fn examine(facts: &Facts) -> Vec<Finding> {
    const CHECKS: [fn(&Facts) -> Vec<Finding>; 14] = [
        close_wait::close_wait,
        close_wait::dead,
        close_wait::leaked_ports,
        descriptors::of_processes,
        descriptors::of_host,
        queues::accept,
        queues::syn,
        ports::ephemeral,
        time_wait::time_wait,
        time_wait::buckets,
        stuck::closes,
        stuck::connects,
        idle::idle,
        host::orphans_and_memory,
    ];
    let found = CHECKS.iter().flat_map(|check| check(facts));
    let mut findings: Vec<Finding> = found.map(with_some_culprits).collect();
    findings.sort_by_key(|finding| (Reverse(finding.severity), place_of(finding.topic)));
    findings
}

/// A listener may be shared by hundreds of workers.
fn with_some_culprits(mut finding: Finding) -> Finding {
    let more = finding.culprits.len().saturating_sub(MOST_CULPRITS);
    finding.culprits.truncate(MOST_CULPRITS);
    if more > 0 {
        finding.culprits.push(Culprit { part: format!("and {more} more"), ..Culprit::default() });
    }
    finding
}

fn place_of(topic: &Topic) -> usize {
    TOPICS.iter().position(|own| own.id == topic.id).unwrap_or(TOPICS.len())
}

#[cfg(test)]
mod tests;

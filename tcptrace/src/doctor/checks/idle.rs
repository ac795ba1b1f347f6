//! Connections on which nothing happens, and nobody would notice if the peer were gone.

use crate::doctor::facts::Facts;
use crate::doctor::finding::{Finding, Severity};
use crate::doctor::tally::most;
use crate::doctor::topic::IDLE;
use crate::lifecycle::wording::{count, duration};

use super::grade::or_fine;

/// Ends that are told of in each namespace.
const NAMED: usize = 3;

/// Idle connections without keepalive, by the end that they have in common.
pub fn idle(facts: &Facts) -> Vec<Finding> {
    if facts.read_namespaces().next().is_none() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (namespace, tally) in facts.read_namespaces() {
        let ends = most(&tally.idle, |idle| idle.count).into_iter().take(NAMED);
        findings.extend(ends.filter_map(|(place, number)| {
            let idle = tally.idle.get(&place)?;
            let side = if tally.listens_at(&place) { "at" } else { "to" };
            let title = format!(
                "{} {side} {place} without keepalive, idle for up to {}",
                count(number, "connection"),
                duration(idle.longest_ns)
            );
            let finding = Finding::new(&IDLE, Severity::Notice, title)
                .of(namespace.inode)
                .with("sockets", number)
                .with("longest_ns", idle.longest_ns)
                .with("keepalive_time_s", namespace.number("net.ipv4.tcp_keepalive_time"))
                .blame(facts.blame(&idle.inodes, "holds some"))
                .advise(
                    "set SO_KEEPALIVE in the program, with TCP_KEEPIDLE well below what firewalls \
                     on the way remember",
                    None,
                );
            Some(finding)
        }));
    }
    or_fine(findings, &IDLE, || {
        format!("no connection without keepalive is idle for {}", duration(facts.min_idle_ns))
    })
}

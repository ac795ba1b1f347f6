//! Packets that nobody answers.

use crate::doctor::facts::Facts;
use crate::doctor::finding::{Culprit, Finding, Severity};
use crate::doctor::tally::{Place, Share, most};
use crate::doctor::topic::{STUCK_CLOSE, SYN_SENT};
use crate::lifecycle::wording::count;

use super::grade::or_fine;

/// Stuck closes that are more than some peers gone.
const MANY_CLOSES: u64 = 64;
/// Connects to one destination that are more than chance.
const SOME_CONNECTS: u64 = 3;
/// Peers and destinations that are named.
const NAMED: usize = 5;

/// Closes that are sent again and again.
pub fn closes(facts: &Facts) -> Vec<Finding> {
    if facts.read_namespaces().next().is_none() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (namespace, tally) in facts.read_namespaces() {
        let (all, orphans) = tally
            .stuck
            .values()
            .fold((0, 0), |(all, those), share| (all + share.all, those + share.those));
        if all == 0 {
            continue;
        }
        let severity = if all >= MANY_CLOSES { Severity::Warning } else { Severity::Notice };
        let title =
            format!("{} cannot get rid of their last data or FIN", count(all, "closed socket"));
        let peers = most(&tally.stuck, |share| share.all).into_iter().take(NAMED);
        let peers = peers.map(|(peer, count)| Culprit {
            part: format!("{count} to {peer}, which does not answer"),
            ..Culprit::default()
        });
        findings.push(
            Finding::new(&STUCK_CLOSE, severity, title)
                .of(namespace.inode)
                .with("sockets", all)
                .with("orphans", orphans)
                .with("orphan_retries", namespace.number("net.ipv4.tcp_orphan_retries"))
                .blame(peers)
                .advise(
                    "see how often each was sent and when it is sent next",
                    namespace.command("ss -tno state fin-wait-1 state last-ack state closing"),
                )
                .advise("see whether the peer is there, or a firewall forgets connections", None),
        );
    }
    or_fine(findings, &STUCK_CLOSE, || {
        "every close is acknowledged, or was sent a few times only".to_owned()
    })
}

/// Connects to one place that nobody answers.
pub fn connects(facts: &Facts) -> Vec<Finding> {
    if facts.read_namespaces().next().is_none() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (namespace, tally) in facts.read_namespaces() {
        let retried = most(&tally.connecting, |share: &Share| share.those);
        let silent = retried.into_iter().take_while(|(_, count)| *count >= SOME_CONNECTS);
        findings.extend(silent.take(NAMED).map(|(place, count)| {
            let full = if is_full(facts, &place) { ": its accept queue is full" } else { "" };
            let title = format!("{place} does not answer {count} connects{full}");
            Finding::new(&SYN_SENT, Severity::Warning, title)
                .of(namespace.inode)
                .with("sockets", count)
                .with("to", place.to_string())
                .with("syn_retries", namespace.number("net.ipv4.tcp_syn_retries"))
                .blame(facts.blame(tally.unanswered_to(&place), "waits in connect()"))
                .advise("see whether the host is up and lets this port through", None)
                .advise("give the program a connect timeout of its own", None)
        }));
    }
    or_fine(findings, &SYN_SENT, || "no destination leaves connects unanswered".to_owned())
}

/// Whether the destination is a listener on this host whose queue is full: then nobody is down.
fn is_full(facts: &Facts, place: &Place) -> bool {
    let mut listeners = facts.read_namespaces().flat_map(|(_, tally)| tally.listeners_at(place));
    listeners.any(|own| own.waiting > own.limit)
}

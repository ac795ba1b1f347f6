//! Packets that nobody answers.

use crate::doctor::facts::{Facts, Namespace};
use crate::doctor::finding::{Culprit, Finding, Severity};
use crate::doctor::tally::{Place, Share, Tally, most};
use crate::doctor::topic::{STUCK_CLOSE, SYN_SENT};
use crate::lifecycle::wording::count;

use super::grade::in_each;

/// Stuck closes that are more than some peers gone.
const MANY_CLOSES: u64 = 64;
/// Connects to one destination that are more than chance.
const SOME_CONNECTS: u64 = 3;
/// Peers and destinations that are named.
const NAMED: usize = 5;

/// Closes that are sent again and again.
pub fn closes(facts: &Facts) -> Vec<Finding> {
    in_each(facts, &STUCK_CLOSE, stuck, || {
        "every close is acknowledged, or was sent a few times only".to_owned()
    })
}

fn stuck(namespace: &Namespace, tally: &Tally) -> Option<Finding> {
    let all: u64 = tally.stuck.values().map(|share| share.all).sum();
    let orphans: u64 = tally.stuck.values().map(|share| share.those).sum();
    let severity = match all {
        0 => return None,
        MANY_CLOSES.. => Severity::Warning,
        _ => Severity::Notice,
    };
    let title = format!("{} cannot get rid of their last data or FIN", count(all, "closed socket"));
    let peers = most(&tally.stuck, |share| share.all).into_iter().take(NAMED);
    let peers = peers.map(|(peer, count)| Culprit {
        part: format!("{count} to {peer}, which does not answer"),
        ..Culprit::default()
    });
    let finding = Finding::new(&STUCK_CLOSE, severity, title)
        .of(namespace.inode)
        .with("sockets", all)
        .with("orphans", orphans)
        .with("orphan_retries", namespace.number("net.ipv4.tcp_orphan_retries"))
        .blame(peers)
        .advise(
            "see how often each was sent and when it is sent next",
            namespace.command("ss -tno state fin-wait-1 state last-ack state closing"),
        )
        .advise("see whether the peer is there, or a firewall forgets connections", None);
    Some(finding)
}

/// Connects to one place that nobody answers.
pub fn connects(facts: &Facts) -> Vec<Finding> {
    let check = |namespace, tally: &Tally| -> Vec<Finding> {
        let retried = most(&tally.connecting, |share: &Share| share.those).into_iter();
        let silent = retried.take_while(|(_, count)| *count >= SOME_CONNECTS).take(NAMED);
        silent.map(|(place, count)| unanswered(facts, namespace, tally, (place, count))).collect()
    };
    in_each(facts, &SYN_SENT, check, || "no destination leaves connects unanswered".to_owned())
}

fn unanswered(
    facts: &Facts,
    namespace: &Namespace,
    tally: &Tally,
    (place, count): (Place, u64),
) -> Finding {
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
}

/// Whether the destination is a listener on this host whose queue is full: then nobody is down.
fn is_full(facts: &Facts, place: &Place) -> bool {
    let mut listeners = facts.read_namespaces().flat_map(|(_, tally)| tally.listeners_at(place));
    listeners.any(|own| own.waiting > own.limit)
}

//! Connections on which nothing happens, and nobody would notice if the peer were gone.

use crate::doctor::facts::{Facts, Namespace};
use crate::doctor::finding::{Finding, Severity};
use crate::doctor::tally::{Place, Tally, most};
use crate::doctor::topic::IDLE;
use crate::lifecycle::wording::{count, duration};

use super::grade::in_each;

/// Ends that are told of in each namespace.
const NAMED: usize = 3;

/// Idle connections without keepalive, by the end that they have in common.
pub fn idle(facts: &Facts) -> Vec<Finding> {
    let check = |namespace, tally: &Tally| -> Vec<Finding> {
        let ends = most(&tally.idle, |idle| idle.count).into_iter().take(NAMED);
        ends.map(|(place, _)| at(facts, namespace, tally, &place)).collect()
    };
    in_each(facts, &IDLE, check, || {
        format!("no connection without keepalive is idle for {}", duration(facts.min_idle_ns))
    })
}

fn at(facts: &Facts, namespace: &Namespace, tally: &Tally, place: &Place) -> Finding {
    let idle = &tally.idle[place];
    let side = if tally.listens_at(place) { "at" } else { "to" };
    let title = format!(
        "{} {side} {place} without keepalive, idle for up to {}",
        count(idle.count, "connection"),
        duration(idle.longest_ns)
    );
    Finding::new(&IDLE, Severity::Notice, title)
        .of(namespace.inode)
        .with("sockets", idle.count)
        .with("longest_ns", idle.longest_ns)
        .with("keepalive_time_s", namespace.number("net.ipv4.tcp_keepalive_time"))
        .blame(facts.blame(&idle.inodes, "holds some"))
        .advise(
            "set SO_KEEPALIVE in the program, with TCP_KEEPIDLE well below what firewalls on the \
             way remember",
            None,
        )
}

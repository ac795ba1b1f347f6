//! Local ports for connections to one place.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::doctor::facts::{Facts, Namespace};
use crate::doctor::finding::{Change, Finding, Severity};
use crate::doctor::tally::{Route, Share, Tally, most};
use crate::doctor::topic::EPHEMERAL_PORTS;

use super::grade::{or_fine, percent, propose};

/// Percentages of the ports.
const MANY: u64 = 80;
const NEARLY_ALL: u64 = 97;
/// Routes of a namespace that are told of.
const NAMED: usize = 5;
const RANGE: &str = "net.ipv4.ip_local_port_range";
const REUSE: &str = "net.ipv4.tcp_tw_reuse";
/// A range that leaves the ports alone on which services usually listen.
const WIDE: &str = "10240 65535";

/// Routes that run out of ports.
pub fn ephemeral(facts: &Facts) -> Vec<Finding> {
    if !facts.read_namespaces().any(|(namespace, _)| namespace.ephemeral().is_some()) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (namespace, tally) in facts.read_namespaces() {
        let Some(ports) = namespace.ephemeral().map(|ports| ports.count()) else { continue };
        // A host may have a million routes, few of them full: these alone are put in order.
        let is_full = |(route, share): &(&Route, &Share)| {
            percent(taken(namespace, route, share), ports) >= MANY
        };
        let full = tally.routes.iter().filter(is_full);
        let full: HashMap<Route, Share> = full.map(|(route, share)| (*route, *share)).collect();
        findings.extend(
            most(&full, |share| share.all).into_iter().take(NAMED).map(|(route, _)| {
                running_out(facts, namespace, tally, (route, full[&route]), ports)
            }),
        );
    }
    or_fine(findings, &EPHEMERAL_PORTS, || match fullest(facts) {
        Some((route, used, of)) => format!(
            "{used} of {of} ports are in use from {} to {}, the most of all",
            route.from, route.to
        ),
        None => "no connection uses one".to_owned(),
    })
}

/// Whether sockets in TIME_WAIT are in the way of any connection.
pub fn time_wait_hurts(facts: &Facts) -> bool {
    let is_about_time_wait = |own: &Finding| own.changes.iter().any(|own| own.sysctl == REUSE);
    ephemeral(facts).iter().any(is_about_time_wait)
}

/// Ports that a connection along a route cannot have: those in TIME_WAIT do not count where
/// connect() takes them after a second.
fn taken(namespace: &Namespace, route: &Route, share: &Share) -> u64 {
    if is_reused(namespace, route) { share.all - share.those } else { share.all }
}

/// tcp_tw_reuse lets connect() take a port whose socket has been in TIME_WAIT for a second, where
/// both sides send timestamps; 2, the default, does so on loopback alone.
fn is_reused(namespace: &Namespace, route: &Route) -> bool {
    let reuse = namespace.number(REUSE);
    let is_on = reuse == Some(1) || (reuse == Some(2) && route.to.ip().is_loopback());
    is_on && namespace.number("net.ipv4.tcp_timestamps") != Some(0)
}

fn fullest(facts: &Facts) -> Option<(Route, u64, u64)> {
    let fullest = facts.read_namespaces().filter_map(|(namespace, tally)| {
        let routes = tally.routes.iter();
        let (route, share) = routes.max_by_key(|(route, share)| (share.all, Reverse(**route)))?;
        Some((*route, share.all, namespace.ephemeral()?.count()))
    });
    fullest.max_by_key(|(_, used, of)| used.saturating_mul(1_000_000) / (*of).max(1))
}

fn running_out(
    facts: &Facts,
    namespace: &Namespace,
    tally: &Tally,
    (route, used): (Route, Share),
    ports: u64,
) -> Finding {
    let severity = match percent(taken(namespace, &route, &used), ports) {
        NEARLY_ALL.. => Severity::Critical,
        _ => Severity::Warning,
    };
    let title = format!(
        "{} of {ports} local ports are in use from {} to {}, {} of them in TIME_WAIT",
        used.all, route.from, route.to, used.those
    );
    let finding = Finding::new(&EPHEMERAL_PORTS, severity, title)
        .of(namespace.inode)
        .with("used", used.all)
        .with("time_wait", used.those)
        .with("ports", ports)
        .with("from", route.from.to_string())
        .with("to", route.to.to_string())
        .blame(facts.blame(tally.users_of(&route.to), "has connections there"))
        .advise(
            "keep connections and use them again (a pool, HTTP keep-alive), or let the other side \
             close first",
            None,
        );
    with_more_ports(with_reuse(finding, namespace, (route, used)), namespace)
}

/// What tcp_tw_reuse would do for it.
fn with_reuse(finding: Finding, namespace: &Namespace, (route, used): (Route, Share)) -> Finding {
    let is_little = used.those * 2 < used.all;
    if is_little || is_reused(namespace, &route) || namespace.number(REUSE).is_none() {
        return finding;
    }
    if namespace.number("net.ipv4.tcp_timestamps") == Some(0) {
        return finding.advise("tcp_tw_reuse has no effect here: tcp_timestamps is 0", None);
    }
    let change = Change {
        sysctl: REUSE,
        value: "1".to_owned(),
        why: "most of these ports are in TIME_WAIT, and connect() may then take one after a second"
            .into(),
    };
    let what = "let connect() take ports in TIME_WAIT again; safe where both sides send timestamps";
    propose(finding, namespace, what, change)
}

fn with_more_ports(finding: Finding, namespace: &Namespace) -> Finding {
    let is_narrow = namespace.ephemeral().is_some_and(|ports| {
        let (low, high) = ports.ends();
        high - low < 65_535 - 10_240
    });
    if !is_narrow {
        return finding.advise("there is no wider range worth having: add an address", None);
    }
    let change = Change {
        sysctl: RANGE,
        value: WIDE.to_owned(),
        why: "the range is narrow; ports on which services listen belong into \
              ip_local_reserved_ports"
            .into(),
    };
    propose(finding, namespace, "widen the range of ports", change)
}

//! TIME_WAIT: who closes first, and whether that hurts.

use crate::doctor::facts::{Facts, Namespace};
use crate::doctor::finding::{Change, Culprit, Finding, Severity};
use crate::doctor::tally::{Tally, most};
use crate::doctor::topic::{TIME_WAIT, TIME_WAIT_BUCKETS};
use crate::lifecycle::socket::State;
use crate::lifecycle::wording::count;

use super::grade::{or_fine, percent, propose};
use super::ports::time_wait_hurts;

/// Percentage of the buckets.
const MANY: u64 = 80;
/// Who closes first: that many are named.
const NAMED: usize = 5;
const BUCKETS: &str = "net.ipv4.tcp_max_tw_buckets";

/// How many there are, what they take and who closes first. Never a problem by itself.
pub fn time_wait(facts: &Facts) -> Vec<Finding> {
    let read: Vec<_> = facts.read_namespaces().collect();
    if read.is_empty() {
        return Vec::new();
    }
    let total: u64 = read.iter().map(|(_, tally)| tally.count(State::TimeWait)).sum();
    let bytes = facts.host.mini_socket_bytes.map(|bytes| bytes.saturating_mul(total));
    let takes = bytes.map_or_else(String::new, |bytes| format!(", {} KiB of memory", bytes / 1024));
    let mut closers: Vec<(u64, Culprit)> =
        read.iter().flat_map(|(_, tally)| closers(facts, tally)).collect();
    closers.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let verdict = if time_wait_hurts(facts) { "see ephemeral-ports" } else { "harmless" };
    let title = match total {
        0 => "no socket is in TIME_WAIT".to_owned(),
        _ => format!("{} in TIME_WAIT{takes}: {verdict}", count(total, "socket")),
    };
    let finding = Finding::new(&TIME_WAIT, Severity::Ok, title)
        .with("sockets", total)
        .with("bytes", bytes)
        .blame(closers.into_iter().take(NAMED).map(|(_, who)| who));
    vec![finding]
}

/// Who closed first: whoever listens on the local port, else whoever has connections to the same
/// destination now.
fn closers(facts: &Facts, tally: &Tally) -> Vec<(u64, Culprit)> {
    let served = most(&tally.time_wait_served, |count| *count).into_iter().take(NAMED);
    let served = served.map(|(place, count)| {
        let inodes: Vec<u32> = tally.listeners_at(&place).iter().map(|own| own.inode).collect();
        (count, first_of(facts, &inodes, &format!("{count} closed first by the server at {place}")))
    });
    let called = most(&tally.time_wait_called, |count| *count).into_iter().take(NAMED);
    let called = called.map(|(place, count)| {
        let part = format!("{count} closed first by a client of {place}");
        (count, first_of(facts, tally.users_of(&place), &part))
    });
    served.chain(called).collect()
}

fn first_of(facts: &Facts, inodes: &[u32], part: &str) -> Culprit {
    let known = facts.blame(inodes, part).into_iter().next();
    known.unwrap_or_else(|| Culprit { part: part.to_owned(), ..Culprit::default() })
}

/// Namespaces that come near tcp_max_tw_buckets.
pub fn buckets(facts: &Facts) -> Vec<Finding> {
    if !facts.read_namespaces().any(|(namespace, _)| namespace.number(BUCKETS).is_some()) {
        return Vec::new();
    }
    let findings: Vec<_> =
        facts.read_namespaces().filter_map(|(own, tally)| overflowing(own, tally)).collect();
    or_fine(findings, &TIME_WAIT_BUCKETS, || "no namespace comes near its limit".to_owned())
}

/// The kernel counts mini-sockets in FIN_WAIT2 too, and shows their number as `tw` in sockstat.
fn overflowing(namespace: &Namespace, tally: &Tally) -> Option<Finding> {
    let most = namespace.number(BUCKETS)?;
    let minis = namespace.after.get("TCP", "tw");
    let used = minis.unwrap_or(0).max(tally.count(State::TimeWait));
    let overflows = namespace.after.get("TcpExt", "TCPTimeWaitOverflow");
    let grown = namespace.grown("TcpExt", "TCPTimeWaitOverflow");
    let severity = match percent(used, most) {
        MANY.. => Severity::Warning,
        _ if grown > Some(0) => Severity::Warning,
        _ if overflows > Some(0) => Severity::Notice,
        _ => return None,
    };
    let title = match severity {
        Severity::Notice => {
            format!("TIME_WAIT was cut short {} times since the start", overflows.unwrap_or(0))
        }
        _ => format!("{used} of at most {most} sockets in TIME_WAIT and closed FIN_WAIT2"),
    };
    let finding = Finding::new(&TIME_WAIT_BUCKETS, severity, title)
        .of(namespace.inode)
        .with("used", used)
        .with("limit", most)
        .with("overflows_grown", grown)
        .with("overflows", overflows);
    Some(if severity == Severity::Notice { finding } else { with_more(finding, namespace, most) })
}

fn with_more(finding: Finding, namespace: &Namespace, most: u64) -> Finding {
    let change = Change {
        sysctl: BUCKETS,
        value: most.saturating_mul(4).max(16_384).to_string(),
        why: "TIME_WAIT is cut short beyond it".into(),
    };
    propose(finding, namespace, "raise the limit", change)
}

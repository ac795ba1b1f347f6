//! Descriptors of processes and open files of the host.

use crate::doctor::facts::{Facts, Process};
use crate::doctor::finding::{Evidence, Finding, Severity};
use crate::doctor::topic::{FILE_DESCRIPTORS, FILE_TABLE};
use crate::lifecycle::growth::exhausted_in_ns;
use crate::lifecycle::wording::duration;

use super::grade::{or_fine, percent};

/// Percentages of a limit.
const MANY: u64 = 80;
const NEARLY_ALL: u64 = 95;
const HOUR_NS: u64 = 3_600_000_000_000;
const DAY_NS: u64 = 24 * HOUR_NS;
/// From which time of watching on growth is taken at its word.
const SURE_AFTER_NS: u64 = 30_000_000_000;
/// A process with few descriptors is busy opening, not leaking: a forecast wants a third of the limit.
const FORECAST_FROM: u64 = 33;

/// Each process that is near its limit, or soon will be.
pub fn of_processes(facts: &Facts) -> Vec<Finding> {
    let findings: Vec<_> =
        facts.processes.iter().filter_map(|own| near_limit(facts, own)).collect();
    if facts.processes.is_empty() {
        return findings;
    }
    or_fine(findings, &FILE_DESCRIPTORS, || match fullest(facts) {
        Some((process, used, limit)) => format!(
            "{}[{}] is nearest to its limit with {used} of {limit}",
            process.comm, process.pid
        ),
        None => "no process with a limit holds a socket here".to_owned(),
    })
}

fn near_limit(facts: &Facts, process: &Process) -> Option<Finding> {
    let (used, limit) = (process.fds?, process.fd_limit.filter(|limit| *limit != u64::MAX)?);
    let used_percent = percent(used, limit);
    let rate = per_minute(facts, process);
    let left_ns = rate
        .filter(|_| used_percent >= FORECAST_FROM)
        .and_then(|rate| exhausted_in_ns(used, limit, rate));
    // What grows for a second may shrink in the next one.
    let is_sure = facts.window_ns >= SURE_AFTER_NS;
    let severity = match (used_percent, left_ns) {
        (NEARLY_ALL.., _) => Severity::Critical,
        (_, Some(0..HOUR_NS)) if is_sure => Severity::Critical,
        (MANY.., _) => Severity::Warning,
        (_, Some(0..DAY_NS)) if is_sure => Severity::Warning,
        (_, Some(0..DAY_NS)) => Severity::Notice,
        _ => return None,
    };
    let when = left_ns
        .map_or_else(String::new, |ns| format!(": \"Too many open files\" in {}", duration(ns)));
    let title =
        format!("{}[{}] has {used} of {limit} descriptors open{when}", process.comm, process.pid);
    let finding = Finding::new(&FILE_DESCRIPTORS, severity, title);
    Some(described(facts, process, finding, (rate, left_ns)))
}

fn described(
    facts: &Facts,
    process: &Process,
    finding: Finding,
    (rate, left): (Option<f64>, Option<u64>),
) -> Finding {
    let (used, limit) = (process.fds.unwrap_or(0), process.fd_limit.unwrap_or(0));
    let sockets =
        process.sockets.map_or_else(String::new, |count| format!(", {count} TCP sockets"));
    finding
        .with("used", used)
        .with("limit", limit)
        .with("tcp_sockets", process.sockets)
        .with("per_minute", rate.map_or(Evidence::Unknown, Evidence::Rate))
        .with("exhausted_in_ns", left)
        .blame([process.culprit(format!("{used} descriptors{sockets}"))])
        .advise(
            "see what it holds, and whether that grows",
            Some(format!("ls -l /proc/{}/fd", process.pid)),
        )
        .advise(
            "gain time, if it does not leak: raise the limit of the running process, and in its unit \
             (LimitNOFILE=)",
            higher_limit(facts, process, limit),
        )
}

/// The soft limit alone where the hard one allows it, else both, which takes root; never more than
/// the kernel allows anybody.
fn higher_limit(facts: &Facts, process: &Process, limit: u64) -> Option<String> {
    let most = facts.host.sysctls.get("fs.nr_open").and_then(|value| value.parse().ok());
    let wanted = limit.saturating_mul(4).max(65_536).min(most.unwrap_or(1 << 20));
    let soft = process.fd_hard_limit.map_or(wanted, |hard| hard.min(wanted));
    let pid = process.pid;
    if soft > limit {
        return Some(format!("prlimit --pid {pid} --nofile={soft}:"));
    }
    (wanted > limit).then(|| format!("prlimit --pid {pid} --nofile={wanted}:{wanted}"))
}

/// Growth a minute; `None`: not known.
fn per_minute(facts: &Facts, process: &Process) -> Option<f64> {
    let (before, now) = (process.fds_before?, process.fds?);
    if facts.window_ns == 0 {
        return None;
    }
    Some((now as f64 - before as f64) * 60e9 / facts.window_ns as f64)
}

/// The process that has used the largest part of its limit.
fn fullest(facts: &Facts) -> Option<(&Process, u64, u64)> {
    let limited = facts
        .processes
        .iter()
        .filter_map(|own| Some((own, own.fds?, own.fd_limit.filter(|limit| *limit != u64::MAX)?)));
    limited.max_by_key(|(_, used, limit)| used.saturating_mul(1_000_000) / (*limit).max(1))
}

/// The open files of the whole host.
pub fn of_host(facts: &Facts) -> Vec<Finding> {
    let (Some(used), Some(most), true) =
        (facts.host.files, facts.host.files_max, facts.is_whole_host)
    else {
        return Vec::new();
    };
    let severity = match percent(used, most) {
        NEARLY_ALL.. => Severity::Critical,
        MANY.. => Severity::Warning,
        _ => Severity::Ok,
    };
    let title = format!("{used} of {most} files open on the host");
    let finding = Finding::new(&FILE_TABLE, severity, title).with("used", used).with("limit", most);
    if severity == Severity::Ok {
        return vec![finding];
    }
    let mut processes: Vec<&Process> = facts.processes.iter().collect();
    processes.sort_by_key(|own| std::cmp::Reverse(own.fds));
    let named = processes.into_iter().take(3);
    let named = named.map(|own| own.culprit(format!("{} descriptors", own.fds.unwrap_or(0))));
    vec![finding.blame(named).advise(
        "find who holds them first; then raise the limit if they are needed",
        Some(format!("sysctl -w fs.file-max={}", most.saturating_mul(2))),
    )]
}

//! What all sockets of the host share.

use crate::doctor::facts::{Facts, Namespace};
use crate::doctor::finding::{Finding, Severity};
use crate::doctor::topic::{ORPHANS, TCP_MEMORY};

use super::grade::percent;

/// Percentage of tcp_max_orphans from which on the kernel is stricter with some.
const HALF: u64 = 50;

/// Orphans and memory; nothing where only some namespaces are looked at.
pub fn orphans_and_memory(facts: &Facts) -> Vec<Finding> {
    if !facts.is_whole_host {
        return Vec::new();
    }
    orphans(facts).into_iter().chain(memory(facts)).collect()
}

fn host_number(facts: &Facts, sysctl: &str) -> Option<u64> {
    let of_host = facts.host.sysctls.get(sysctl).and_then(|value| value.parse().ok());
    of_host.or_else(|| facts.namespaces.first()?.number(sysctl))
}

fn orphans(facts: &Facts) -> Option<Finding> {
    let used = facts.host.orphans?;
    let most = host_number(facts, "net.ipv4.tcp_max_orphans")?;
    let severity = match percent(used, most) {
        100.. => Severity::Critical,
        HALF.. => Severity::Warning,
        _ => Severity::Ok,
    };
    let finding = Finding::new(&ORPHANS, severity, format!("{used} of at most {most} orphans"))
        .with("orphans", used)
        .with("limit", most);
    Some(match severity {
        Severity::Ok => finding,
        _ => finding.advise(
            "see to whom they cannot send: stuck-close names the peers",
            Some("ss -tno state fin-wait-1 state last-ack state closing".to_owned()),
        ),
    })
}

fn memory(facts: &Facts) -> Option<Finding> {
    let used = facts.host.memory_pages?;
    let limits = facts.host.sysctls.get("net.ipv4.tcp_mem")?;
    let limits: Vec<u64> = limits.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let [_, pressure, most] = limits[..] else { return None };
    let grown = facts.namespaces.iter().filter_map(pressures).max().unwrap_or(0);
    let severity = match used {
        _ if used > most => Severity::Critical,
        _ if used > pressure || grown > 0 => Severity::Warning,
        _ => Severity::Ok,
    };
    let mib = |pages: u64| pages.saturating_mul(facts.host.page_bytes) >> 20;
    let title = format!(
        "TCP takes {} MiB; pressure begins at {} MiB, the end is {} MiB",
        mib(used),
        mib(pressure),
        mib(most)
    );
    let finding = Finding::new(&TCP_MEMORY, severity, title)
        .with("pages", used)
        .with("pressure_pages", pressure)
        .with("limit_pages", most)
        .with("pressures_grown", grown);
    Some(match severity {
        Severity::Ok => finding,
        _ => finding.advise(
            "find the sockets with long queues: leaked ones with unread data take most",
            Some("ss -tm".to_owned()),
        ),
    })
}

fn pressures(namespace: &Namespace) -> Option<u64> {
    namespace.grown("TcpExt", "TCPMemoryPressures")
}

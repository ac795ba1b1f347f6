//! The settings that are known here, by topic.

mod buffers;
mod closing;
mod files;
mod options;
mod ports;
mod probing;
mod queues;
mod tracking;

use super::setting::Sysctl;

const TOPICS: [&[Sysctl]; 8] = [
    closing::CLOSING,
    probing::PROBING,
    queues::QUEUES,
    ports::PORTS,
    buffers::BUFFERS,
    options::OPTIONS,
    files::FILES,
    tracking::TRACKING,
];

/// Names by which some settings are also known.
const ALIASES: [(&str, &str); 2] = [
    ("net.nf_conntrack_max", "net.netfilter.nf_conntrack_max"),
    ("net.ipv4.netfilter.ip_conntrack_max", "net.ipv4.ip_conntrack_max"),
];

/// Every setting, by topic.
pub fn all() -> impl Iterator<Item = &'static Sysctl> {
    TOPICS.into_iter().flatten()
}

/// The setting of this name, in any case: `net.ipv4.tcp_tw_reuse`, `net/ipv4/tcp_tw_reuse`,
/// `/proc/sys/net/ipv4/tcp_tw_reuse`, or `tcp_tw_reuse`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Sysctl> {
    let name = full_name(name);
    let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(&name[..], |(_, own)| own);
    all().find(|sysctl| sysctl.name == name || sysctl.short_name() == name)
}

/// `name` as sysctl(8) spells it, in small letters.
fn full_name(name: &str) -> String {
    let name = name.trim().to_ascii_lowercase();
    let below = name.strip_prefix("/proc/sys/").unwrap_or(&name);
    below.trim_start_matches('/').replace('/', ".")
}

#[cfg(test)]
mod tests;

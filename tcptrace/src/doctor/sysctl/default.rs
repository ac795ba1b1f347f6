//! The default of a setting on this kernel, where it can be known.

/// What the defaults of a kernel depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelFacts {
    /// The first two numbers of its version.
    pub version: (u32, u32),
    /// Buckets of the hash table of connections: net.ipv4.tcp_ehash_entries without its sign, which
    /// only tells that a network namespace shares the host's table. The file is there since 6.1.
    pub ehash_entries: Option<u64>,
    /// Memory, bytes: MemTotal of `/proc/meminfo`.
    pub memory_bytes: Option<u64>,
    /// Size of a page, bytes.
    pub page_size: u64,
}

/// How the default of a setting is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It is not: it depends on what cannot be seen, or there is none.
    Unknown,
    /// The same on every kernel.
    Always(&'static str),
    /// Changed with this version.
    Changed {
        /// Until then.
        before: &'static str,
        /// The first version of the new default.
        in_version: (u32, u32),
        /// Since then.
        since: &'static str,
    },
    /// Half the buckets of the hash table of connections.
    HalfOfEhash,
    /// Their 128th part, at least 128.
    SynBacklog,
    /// Of TCP receive buffers.
    ReceiveBuffers,
    /// Of TCP send buffers.
    SendBuffers,
}

/// First kernel whose hash table of connections can be seen, and for which the two rules that rest
/// on it were checked (net/ipv4/tcp_ipv4.c tcp_set_hashinfo(), net/ipv4/tcp.c tcp_init()).
const EHASH_SHOWN: (u32, u32) = (6, 1);
/// Since 6.0 the least buffer is a page, before that 4096 bytes (SK_MEM_QUANTUM).
const BUFFERS_BY_PAGE: (u32, u32) = (6, 0);
/// Since 4.20 a receive buffer begins with 131072 bytes instead of 87380.
const WIDER_START: (u32, u32) = (4, 20);
/// Since 6.16 a receive buffer may grow to 32 MiB instead of 6.
const WIDER_RECEIVE: (u32, u32) = (6, 16);

impl Rule {
    /// The default on a kernel, numbers joined by single blanks. `None`: it is not known, or this
    /// kernel does not have the setting. In a network namespace other than the first, tcp_rmem and
    /// tcp_wmem begin with the first one's values instead.
    #[must_use]
    pub fn on(self, kernel: &KernelFacts) -> Option<String> {
        match self {
            Self::Unknown => None,
            Self::Always(value) => Some(value.to_owned()),
            Self::Changed { before, in_version, since } => {
                Some(if kernel.version >= in_version { since } else { before }.to_owned())
            }
            Self::HalfOfEhash => Some((ehash(kernel)? / 2).to_string()),
            Self::SynBacklog => Some((ehash(kernel)? / 128).max(128).to_string()),
            Self::ReceiveBuffers => receive_buffers(kernel),
            Self::SendBuffers => send_buffers(kernel),
        }
    }
}

fn ehash(kernel: &KernelFacts) -> Option<u64> {
    kernel.ehash_entries.filter(|_| kernel.version >= EHASH_SHOWN)
}

fn receive_buffers(kernel: &KernelFacts) -> Option<String> {
    let start = if kernel.version >= WIDER_START { 131_072 } else { 87_380 };
    let cap = if kernel.version >= WIDER_RECEIVE { 32 << 20 } else { 6 << 20 };
    Some(format!("{} {start} {}", least_buffer(kernel)?, capped(cap, kernel)?))
}

fn send_buffers(kernel: &KernelFacts) -> Option<String> {
    Some(format!("{} 16384 {}", least_buffer(kernel)?, capped(4 << 20, kernel)?))
}

/// The first number of tcp_rmem and tcp_wmem, bytes.
fn least_buffer(kernel: &KernelFacts) -> Option<u64> {
    if kernel.version >= BUFFERS_BY_PAGE {
        return Some(kernel.page_size);
    }
    (kernel.page_size == 4096).then_some(4096)
}

/// A buffer grows to 1/128 of the memory that can hold buffers, and to `cap` bytes at most. That
/// memory is a little less than all, how much less cannot be seen: so only the cap is ever claimed,
/// and only where there is twice the memory that it takes.
fn capped(cap: u64, kernel: &KernelFacts) -> Option<u64> {
    (kernel.memory_bytes? >= cap * 128 * 2).then_some(cap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::sysctl::find;

    /// The machine on which the rules were checked in a fresh network namespace.
    const CHECKED: KernelFacts = KernelFacts {
        version: (6, 18),
        ehash_entries: Some(262_144),
        memory_bytes: Some(24_731_700 * 1024),
        page_size: 4096,
    };

    fn default(name: &str, kernel: &KernelFacts) -> Option<String> {
        find(name).unwrap().default.on(kernel)
    }

    #[test]
    fn what_a_fresh_namespace_showed() {
        for (name, value) in [
            ("net.core.somaxconn", "4096"),
            ("net.core.rmem_default", "212992"),
            ("net.core.rmem_max", "4194304"),
            ("net.core.wmem_max", "4194304"),
            ("net.ipv4.tcp_tw_reuse", "2"),
            ("net.ipv4.tcp_max_tw_buckets", "131072"),
            ("net.ipv4.tcp_max_orphans", "131072"),
            ("net.ipv4.tcp_max_syn_backlog", "2048"),
            ("net.ipv4.tcp_rmem", "4096 131072 33554432"),
            ("net.ipv4.tcp_wmem", "4096 16384 4194304"),
            ("net.ipv4.tcp_fin_timeout", "60"),
            ("net.ipv4.tcp_orphan_retries", "0"),
            ("net.ipv4.ip_local_port_range", "32768 60999"),
            ("net.ipv4.ip_local_reserved_ports", ""),
            ("net.netfilter.nf_conntrack_tcp_timeout_time_wait", "120"),
        ] {
            assert_eq!(default(name, &CHECKED).as_deref(), Some(value), "{name}");
        }
    }

    #[test]
    fn older_kernels_differ() {
        let at = |version| KernelFacts { version, ..CHECKED };
        for (name, version, value) in [
            ("somaxconn", (5, 3), "128"),
            ("somaxconn", (5, 4), "4096"),
            ("tcp_tw_reuse", (4, 18), "0"),
            ("tcp_tw_reuse", (4, 19), "2"),
            ("rmem_max", (6, 17), "212992"),
            ("wmem_max", (6, 18), "4194304"),
            ("tcp_rmem", (6, 15), "4096 131072 6291456"),
            ("tcp_rmem", (6, 16), "4096 131072 33554432"),
            ("tcp_rmem", (4, 19), "4096 87380 6291456"),
            ("tcp_fin_timeout", (4, 4), "60"),
        ] {
            assert_eq!(default(name, &at(version)).as_deref(), Some(value), "{name} {version:?}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_guessed() {
        let little = KernelFacts { memory_bytes: Some(1 << 30), ..CHECKED };
        let blind = KernelFacts { memory_bytes: None, ehash_entries: None, ..CHECKED };
        let old = KernelFacts { version: (5, 10), ..CHECKED };
        assert_eq!(default("tcp_rmem", &little), None);
        assert_eq!(default("tcp_wmem", &little).as_deref(), Some("4096 16384 4194304"));
        assert_eq!(default("tcp_wmem", &blind), None);
        assert_eq!(default("tcp_max_orphans", &blind), None);
        assert_eq!(default("tcp_max_tw_buckets", &old), None);
        for name in ["tcp_mem", "file-max", "nf_conntrack_max", "tcp_tw_recycle"] {
            assert_eq!(default(name, &CHECKED), None, "{name}");
        }
    }

    #[test]
    fn pages_of_other_sizes() {
        let large = KernelFacts { page_size: 65_536, ..CHECKED };
        assert_eq!(default("tcp_wmem", &large).as_deref(), Some("65536 16384 4194304"));
        assert_eq!(default("tcp_wmem", &KernelFacts { version: (5, 10), ..large }), None);
        let small = KernelFacts { ehash_entries: Some(512), ..CHECKED };
        assert_eq!(default("tcp_max_syn_backlog", &small).as_deref(), Some("128"));
    }
}

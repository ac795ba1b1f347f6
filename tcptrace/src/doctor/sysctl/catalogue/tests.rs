use std::collections::HashSet;

use super::*;
use crate::doctor::sysctl::default::{KernelFacts, Rule};
use crate::doctor::sysctl::risk::{Risk, Setting, harm};

const PAGE: &str = include_str!("../../../../../docs/sysctls.md");

const KERNEL: KernelFacts = KernelFacts {
    version: (6, 18),
    ehash_entries: Some(262_144),
    memory_bytes: Some(24 << 30),
    page_size: 4096,
};

#[test]
fn what_the_pages_name_is_there() {
    for name in [
        "net.ipv4.tcp_tw_reuse",
        "net.ipv4.tcp_tw_recycle",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_max_syn_backlog",
        "net.ipv4.tcp_max_tw_buckets",
        "net.core.netdev_max_backlog",
        "net.core.somaxconn",
        "net.core.rmem_default",
        "net.core.rmem_max",
        "net.core.wmem_default",
        "net.core.wmem_max",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_wmem",
        "net.ipv4.tcp_synack_retries",
        "net.ipv4.tcp_syn_retries",
        "net.ipv4.tcp_mem",
        "net.ipv4.tcp_max_orphans",
        "net.ipv4.tcp_orphan_retries",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.tcp_timestamps",
        "net.ipv4.tcp_retries2",
        "net.ipv4.tcp_abort_on_overflow",
        "net.ipv4.tcp_rfc1337",
        "net.ipv4.tcp_window_scaling",
        "net.ipv4.tcp_sack",
        "fs.file-max",
        "fs.nr_open",
        "net.netfilter.nf_conntrack_max",
        "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
        "net.netfilter.nf_conntrack_tcp_timeout_time_wait",
        "net.ipv4.tcp_low_latency",
        "net.ipv4.tcp_fack",
        "net.ipv4.ip_conntrack_max",
    ] {
        assert!(all().any(|sysctl| sysctl.name == name), "{name}");
    }
}

#[test]
fn names_are_unique_and_by_topic() {
    let names: HashSet<_> = all().map(|sysctl| sysctl.name).collect();
    let short: HashSet<_> = all().map(Sysctl::short_name).collect();
    assert_eq!(names.len(), all().count());
    assert_eq!(short.len(), all().count());
    assert!(all().map(|sysctl| sysctl.topic).is_sorted());
    for name in names {
        assert_eq!(find(name).map(|sysctl| sysctl.name), Some(name));
        assert_eq!(name, full_name(name), "{name} is written as it is found");
    }
    for (alias, name) in ALIASES {
        assert!(all().all(|sysctl| sysctl.name != alias), "{alias}");
        assert!(all().any(|sysctl| sysctl.name == name), "{name}");
    }
}

#[test]
fn every_text_is_one_line_and_says_something() {
    for sysctl in all() {
        let texts = [
            sysctl.does,
            sysctl.advice_says,
            sysctl.helps,
            sysctl.harm,
            sysctl.source,
            sysctl.name,
        ];
        let risks = sysctl.risks.iter().filter_map(why_of);
        for text in texts.into_iter().chain(sysctl.gone.map(|gone| gone.why)).chain(risks) {
            assert!(!text.trim().is_empty(), "{}", sysctl.name);
            assert_eq!(text, text.trim(), "{}", sysctl.name);
            assert!(!text.contains(char::is_control), "{}: {text}", sysctl.name);
            assert!(!text.contains("  "), "{}: {text}", sysctl.name);
        }
    }
}

fn why_of(risk: &Risk) -> Option<&'static str> {
    match *risk {
        Risk::Is(_, why)
        | Risk::Below(_, why)
        | Risk::Above(_, why)
        | Risk::BelowDefaultBy(_, why)
        | Risk::PlaceAbove(_, _, why)
        | Risk::PlaceBelow(_, _, why) => Some(why),
        Risk::Check(_) => None,
    }
}

#[test]
fn what_is_gone_has_no_default() {
    for sysctl in all().filter(|sysctl| sysctl.gone.is_some()) {
        assert_eq!(sysctl.default, Rule::Unknown, "{}", sysctl.name);
    }
    let recycle = find("tcp_tw_recycle").unwrap();
    assert!(recycle.gone_in((4, 12)).is_some());
    assert!(recycle.gone_in((4, 11)).is_none());
    assert!(find("ip_conntrack_max").unwrap().gone_in((2, 6)).is_some());
    assert!(find("tcp_fack").unwrap().gone_in((6, 18)).is_none());
}

#[test]
fn no_default_is_harmful() {
    for version in [(4, 4), (5, 10), (6, 1), (6, 18), (7, 3)] {
        let kernel = KernelFacts { version, ..KERNEL };
        for sysctl in all() {
            let Some(default) = sysctl.default.on(&kernel) else { continue };
            let setting = Setting { value: &default, default: Some(&default), kernel: &kernel };
            assert_eq!(harm(sysctl.risks, &setting), None, "{} {version:?}", sysctl.name);
        }
    }
}

#[test]
fn what_pages_advise_and_harms() {
    for (name, value) in [
        ("tcp_tw_recycle", "1"),
        ("tcp_max_tw_buckets", "5000"),
        ("tcp_max_orphans", "3276"),
        ("tcp_syncookies", "0"),
        ("tcp_abort_on_overflow", "1"),
        ("tcp_timestamps", "0"),
        ("tcp_retries2", "5"),
        ("rmem_default", "31457280"),
        ("wmem_default", "31457280"),
        ("tcp_rmem", "8388608 8388608 8388608"),
        ("tcp_wmem", "4096 8388608 8388608"),
        ("tcp_mem", "16777216 16777216 16777216"),
        ("ip_local_port_range", "1024 65535"),
        ("file-max", "65535"),
        ("nr_open", "65536"),
        ("somaxconn", "128"),
        ("tcp_keepalive_probes", "1"),
        ("nf_conntrack_tcp_timeout_established", "600"),
    ] {
        let sysctl = find(name).unwrap();
        let default = sysctl.default.on(&KERNEL);
        let setting = Setting { value, default: default.as_deref(), kernel: &KERNEL };
        assert!(harm(sysctl.risks, &setting).is_some(), "{name} = {value}");
    }
}

#[test]
fn found_by_any_spelling() {
    for name in [
        "net.ipv4.tcp_tw_reuse",
        "net/ipv4/tcp_tw_reuse",
        "/net/ipv4/tcp_tw_reuse",
        "/proc/sys/net/ipv4/tcp_tw_reuse",
        "tcp_tw_reuse",
        "TCP_TW_REUSE",
        " Net.IPv4.Tcp_Tw_Reuse\n",
    ] {
        assert_eq!(find(name).map(|sysctl| sysctl.name), Some("net.ipv4.tcp_tw_reuse"), "{name}");
    }
    assert_eq!(find("file-max").map(|sysctl| sysctl.name), Some("fs.file-max"));
    let max = find("net.nf_conntrack_max").map(|sysctl| sysctl.name);
    assert_eq!(max, Some("net.netfilter.nf_conntrack_max"));
    for name in ["", ".", "net.ipv4", "net.ipv4.somaxconn", "tcp_tw", "vm.swappiness", "reuse"] {
        assert!(find(name).is_none(), "{name}");
    }
}

#[test]
fn the_page_has_a_heading_for_each_and_no_other() {
    let headings: Vec<_> =
        PAGE.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`')).collect();
    let names: Vec<_> = all().map(|sysctl| sysctl.name).collect();
    assert_eq!(headings, names);
}

#[test]
fn the_page_says_what_the_table_says() {
    let page = PAGE.split_whitespace().collect::<Vec<_>>().join(" ");
    for sysctl in all() {
        for text in [sysctl.does, sysctl.advice_says, sysctl.helps, sysctl.harm, sysctl.source] {
            assert!(page.contains(text), "{}: {text}", sysctl.name);
        }
    }
}

//! Options of the protocol.

use crate::doctor::sysctl::default::Rule;
use crate::doctor::sysctl::risk::Risk;
use crate::doctor::sysctl::setting::{Scope, Sysctl, Topic};

pub(super) const OPTIONS: &[Sysctl] = &[
    Sysctl {
        name: "net.ipv4.tcp_timestamps",
        topic: Topic::Options,
        does: "Whether segments carry timestamps. 0: no. 1: yes, with a random offset for each \
               connection. 2: yes, without it. Old segments are told from new by them.",
        advice_says: "Set it to 0 to save 12 bytes a segment, or because tcp_tw_recycle broke \
                      NAT. The former is not worth it, the latter is gone.",
        helps: "At 1, which is the default: tcp_tw_reuse does nothing without. It never helps \
                against CLOSE_WAIT.",
        harm: "0 takes away the guard against old segments on fast connections, and makes \
               tcp_tw_reuse do nothing. 2 shows how long the host has been up.",
        source: "tcp(7); ip-sysctl.rst; RFC 7323; random offsets since 4.10",
        scope: Scope::Namespace,
        default: Rule::Always("1"),
        gone: None,
        risks: &[Risk::Is(
            "0",
            "without timestamps tcp_tw_reuse does nothing, and old segments on fast connections \
             are not recognised",
        )],
    },
    Sysctl {
        name: "net.ipv4.tcp_window_scaling",
        topic: Topic::Options,
        does: "Whether windows larger than 64 KiB can be announced.",
        advice_says: "Set it to 1: that is the default.",
        helps: "At 1, which is the default. It never helps against a leak.",
        harm: "0 limits each connection to 64 KiB for each round trip.",
        source: "ip-sysctl.rst; tcp(7); RFC 7323",
        scope: Scope::Namespace,
        default: Rule::Always("1"),
        gone: None,
        risks: &[Risk::Is("0", "each connection is limited to 64 KiB for each round trip")],
    },
    Sysctl {
        name: "net.ipv4.tcp_sack",
        topic: Topic::Options,
        does: "Whether a receiver may say which segments behind a gap it has.",
        advice_says: "Set it to 0 to save work, or against holes of 2019 that kernels have long \
                      closed. Leave it.",
        helps: "At 1, which is the default. It never helps against a leak.",
        harm: "0 makes every loss slow, and sends again what has arrived.",
        source: "ip-sysctl.rst; tcp(7); RFC 2018",
        scope: Scope::Namespace,
        default: Rule::Always("1"),
        gone: None,
        risks: &[Risk::Is("0", "connections recover slowly from every loss")],
    },
    Sysctl {
        name: "net.ipv4.tcp_fack",
        topic: Topic::Options,
        does: "Nothing any more: the file is there, its value has no effect.",
        advice_says: "Set it to 1. That does nothing.",
        helps: "Never.",
        harm: "None.",
        source: "ip-sysctl.rst: legacy option, no effect",
        scope: Scope::Namespace,
        default: Rule::Unknown,
        gone: None,
        risks: &[],
    },
    Sysctl {
        name: "net.ipv4.tcp_low_latency",
        topic: Topic::Options,
        does: "Nothing since 4.14: the file is there, its value has no effect.",
        advice_says: "Set it to 1 for speed. That does nothing.",
        helps: "Never.",
        harm: "None.",
        source: "tcp(7): obsolete since 4.14; ip-sysctl.rst: legacy option, no effect",
        scope: Scope::Host,
        default: Rule::Always("0"),
        gone: None,
        risks: &[],
    },
];

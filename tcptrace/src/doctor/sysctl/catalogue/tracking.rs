//! Connection tracking of netfilter: it remembers connections for firewalls and NAT. Its entries
//! are no sockets, though their states have the same names.

use crate::doctor::sysctl::default::Rule;
use crate::doctor::sysctl::risk::Risk;
use crate::doctor::sysctl::setting::{Gone, Scope, Sysctl, Topic};

pub(super) const TRACKING: &[Sysctl] = &[
    Sysctl {
        name: "net.netfilter.nf_conntrack_max",
        topic: Topic::Tracking,
        does: "How many connections netfilter remembers, for the whole host. Beyond it packets of \
               new connections are dropped and the log says: table full, dropping packet.",
        advice_says: "Raise it against CLOSE_WAIT. Entries are no sockets; it has no part in that.",
        helps: "Where nf_conntrack_count comes near it. It never helps against a leak of sockets.",
        harm: "Raised without nf_conntrack_buckets, look-ups get slow; each entry takes some \
               hundred bytes.",
        source: "nf_conntrack-sysctl.rst: set to nf_conntrack_buckets by default",
        scope: Scope::HostShown,
        default: Rule::Unknown,
        gone: None,
        risks: &[Risk::Below(16_384, "a busy host runs out of entries and drops new connections")],
    },
    Sysctl {
        name: "net.netfilter.nf_conntrack_tcp_timeout_close_wait",
        topic: Topic::Tracking,
        does: "How long, in seconds, netfilter remembers a connection of which one side has sent a \
               FIN, while no packet comes. The socket in CLOSE_WAIT does not notice.",
        advice_says: "Lower it to get rid of CLOSE_WAIT. It forgets the entry and keeps the leak: \
                      the socket stays.",
        helps: "Never against CLOSE_WAIT sockets; on a firewall, where such entries fill the table.",
        harm: "Set low, a firewall or NAT drops the rest of what a half-closed connection sends.",
        source: "nf_conntrack-sysctl.rst; net/netfilter/nf_conntrack_proto_tcp.c",
        scope: Scope::Namespace,
        default: Rule::Always("60"),
        gone: None,
        risks: &[
            Risk::Below(10, "half-closed connections that pause for seconds are cut off"),
            Risk::Above(3600, "entries of connections that are over fill the table"),
        ],
    },
    Sysctl {
        name: "net.netfilter.nf_conntrack_tcp_timeout_established",
        topic: Topic::Tracking,
        does: "How long, in seconds, netfilter remembers an open connection while no packet comes. \
               After that a firewall may drop its packets, and NAT cannot deliver them.",
        advice_says: "Lower it to some minutes. That cuts off idle connections without a word to \
                      either side, which makes leaks and does not mend them.",
        helps: "On a firewall whose table fills with connections of hosts that vanished. It never \
                helps against a leak of sockets.",
        harm: "Below 2 hours and 4 minutes idle connections die before the default keepalive \
               speaks.",
        source: "nf_conntrack-sysctl.rst; RFC 5382 REQ-5",
        scope: Scope::Namespace,
        default: Rule::Always("432000"),
        gone: None,
        risks: &[Risk::Below(
            7440,
            "less than the 2 h 4 min of RFC 5382: idle connections are cut off without a FIN, and \
             both sides keep their sockets",
        )],
    },
    Sysctl {
        name: "net.netfilter.nf_conntrack_tcp_timeout_time_wait",
        topic: Topic::Tracking,
        does: "How long, in seconds, netfilter remembers a connection that both sides have closed. \
               Sockets in TIME_WAIT stay for 60 s whatever it is.",
        advice_says: "Lower it to have fewer TIME_WAIT. It does not touch the sockets.",
        helps: "On a firewall or NAT with so many short connections that the table fills. It never \
                helps against TIME_WAIT or CLOSE_WAIT sockets.",
        harm: "Set low, late segments of closed connections count as invalid.",
        source: "nf_conntrack-sysctl.rst; net/netfilter/nf_conntrack_proto_tcp.c",
        scope: Scope::Namespace,
        default: Rule::Always("120"),
        gone: None,
        risks: &[Risk::Below(10, "the last segments of closed connections count as invalid")],
    },
    Sysctl {
        name: "net.ipv4.ip_conntrack_max",
        topic: Topic::Tracking,
        does: "The name that nf_conntrack_max had when only IPv4 was tracked.",
        advice_says: "Raise it. Pages that name it are older than any kernel in use.",
        helps: "Never: look at net.netfilter.nf_conntrack_max.",
        harm: "None: sysctl fails on the line.",
        source: "nf_conntrack-sysctl.rst has the present name",
        scope: Scope::Host,
        default: Rule::Unknown,
        gone: Some(Gone { since: None, why: "it is net.netfilter.nf_conntrack_max now" }),
        risks: &[],
    },
];

//! The end of a connection: FIN_WAIT2, TIME_WAIT, orphans.

use crate::doctor::sysctl::default::Rule;
use crate::doctor::sysctl::risk::Risk;
use crate::doctor::sysctl::setting::{Gone, Scope, Sysctl, Topic};

pub(super) const CLOSING: &[Sysctl] = &[
    Sysctl {
        name: "net.ipv4.tcp_tw_reuse",
        topic: Topic::Closing,
        does: "Lets connect() take over a local port whose connection to the same peer address \
               and port is in TIME_WAIT for a second or longer, if both sides use timestamps. \
               0: never. 1: always. 2: between loopback addresses only. It does nothing for \
               incoming connections.",
        advice_says: "Set it to 1 against TIME_WAIT or CLOSE_WAIT. For CLOSE_WAIT that does \
                      nothing; for TIME_WAIT it frees nothing until a port is needed.",
        helps: "With 1, where this host connects to one address and port so often that connect() \
                fails with EADDRNOTAVAIL, and connections cannot be kept open. It never helps \
                against CLOSE_WAIT.",
        harm: "Little: the timestamps guard against old segments. It relies on the peer's \
               timestamps to grow, which middleboxes that rewrite or strip them undo.",
        source: "ip-sysctl.rst; net/ipv4/tcp_ipv4.c tcp_twsk_unique(); RFC 6191; 2 is the default \
                 since 4.19",
        scope: Scope::Namespace,
        default: Rule::Changed { before: "0", in_version: (4, 19), since: "2" },
        gone: None,
        risks: &[],
    },
    Sysctl {
        name: "net.ipv4.tcp_tw_recycle",
        topic: Topic::Closing,
        does: "Ended TIME_WAIT after a few retransmission timeouts and dropped SYNs whose \
               timestamp was older than the last one seen from the same address.",
        advice_says: "Set it to 1 against TIME_WAIT. That was wrong even when it existed: clients \
                      that share an address behind NAT have clocks of their own.",
        helps: "Never.",
        harm: "Where it exists, connections of clients behind NAT fail at random. Where it does \
               not, sysctl fails on the line.",
        source: "tcp(7): Linux 2.4 to 4.11; RFC 6191; removed because 4.10 gave each connection \
                 a timestamp offset of its own",
        scope: Scope::Namespace,
        default: Rule::Unknown,
        gone: Some(Gone {
            since: Some((4, 12)),
            why: "Linux 4.12 removed it: it broke connections of clients behind NAT, and cannot \
                  work since each connection has a timestamp offset of its own",
        }),
        risks: &[Risk::Above(
            0,
            "it drops SYNs of clients that share an address behind NAT, at random",
        )],
    },
    Sysctl {
        name: "net.ipv4.tcp_fin_timeout",
        topic: Topic::Closing,
        does: "How long, in seconds, a socket that no process has open any more stays in \
               FIN_WAIT2, where this side has closed and the peer has not. It is neither the time \
               of TIME_WAIT, which is fixed at 60 s (TCP_TIMEWAIT_LEN), nor of CLOSE_WAIT, which \
               has none.",
        advice_says: "Lower it against TIME_WAIT or CLOSE_WAIT. It touches neither.",
        helps: "Where thousands of FIN_WAIT2 sockets without a process wait for peers that never \
                close: those peers are the ones that leak. It never helps against CLOSE_WAIT or \
                TIME_WAIT here.",
        harm: "Set low, the answer to a slow peer's FIN is a RST. Above 60 the whole socket is \
               kept for the surplus instead of a small stand-in.",
        source: "ip-sysctl.rst; net/ipv4/tcp.c __tcp_close(); net/ipv4/tcp_minisocks.c \
                 tcp_time_wait(); include/net/tcp.h TCP_TIMEWAIT_LEN",
        scope: Scope::Namespace,
        default: Rule::Always("60"),
        gone: None,
        risks: &[
            Risk::Below(5, "peers that are slow to close get a RST instead of an ACK"),
            Risk::Above(120, "sockets that no process has any more keep all their memory for long"),
        ],
    },
    Sysctl {
        name: "net.ipv4.tcp_max_tw_buckets",
        topic: Topic::Closing,
        does: "How many sockets may be in TIME_WAIT, or in FIN_WAIT2 without a process, at a \
               time. One more is destroyed at once, which counts as TCPTimeWaitOverflow. It has \
               no part in CLOSE_WAIT.",
        advice_says: "Lower it to 5000 or so to have fewer TIME_WAIT. The kernel's document says \
                      not to: it is a guard against floods and not a means to tidy up.",
        helps: "Raised, where TCPTimeWaitOverflow grows. It never helps against CLOSE_WAIT.",
        harm: "Set low, TIME_WAIT is skipped: old segments may reach a new connection, and a peer \
               whose last ACK was lost gets a RST.",
        source: "ip-sysctl.rst; net/ipv4/inet_timewait_sock.c inet_twsk_alloc(); \
                 net/ipv4/tcp_ipv4.c tcp_set_hashinfo(): half of tcp_ehash_entries",
        scope: Scope::Namespace,
        default: Rule::HalfOfEhash,
        gone: None,
        risks: &[Risk::BelowDefaultBy(
            2,
            "far below the default: TIME_WAIT is cut off for each socket beyond it, and what it \
             protects from comes back",
        )],
    },
    Sysctl {
        name: "net.ipv4.tcp_max_orphans",
        topic: Topic::Closing,
        does: "How many sockets that no process has open any more (FIN_WAIT1, LAST_ACK, CLOSING) \
               the kernel keeps while it sends what is left. Beyond it they are reset, which \
               counts as TCPAbortOnMemory. A CLOSE_WAIT socket still has a process, so it is \
               none.",
        advice_says: "Lower it to get rid of sockets, or raise it to hundreds of thousands. \
                      Neither touches CLOSE_WAIT or TIME_WAIT.",
        helps: "Raised, where the kernel logs too many orphaned sockets. It never helps against a \
                leak.",
        harm: "Set low, data that was written just before close() is lost. Each orphan may hold \
               64 KiB that cannot be swapped.",
        source: "ip-sysctl.rst; tcp(7); net/ipv4/tcp.c tcp_check_oom() and tcp_init(): half of \
                 the host's tcp_ehash_entries",
        scope: Scope::Host,
        default: Rule::HalfOfEhash,
        gone: None,
        risks: &[Risk::BelowDefaultBy(
            2,
            "far below the default: closed connections beyond it are reset and lose what they had \
             to send",
        )],
    },
    Sysctl {
        name: "net.ipv4.tcp_orphan_retries",
        topic: Topic::Closing,
        does: "How often what a closed socket still has to send is sent again before the kernel \
               gives up (FIN_WAIT1, LAST_ACK, CLOSING). 0 stands for 8, which is more than 100 \
               s.",
        advice_says: "Set it to 1 or 3 against CLOSE_WAIT. A CLOSE_WAIT socket is not closed, so \
                      it is not concerned.",
        helps: "Where thousands of sockets without a process are in FIN_WAIT1 or LAST_ACK because \
                their peers have vanished. It never helps against CLOSE_WAIT.",
        harm: "Set low, a short loss of the network costs the data that was written last.",
        source: "ip-sysctl.rst; net/ipv4/tcp_timer.c tcp_orphan_retries()",
        scope: Scope::Namespace,
        default: Rule::Always("0"),
        gone: None,
        risks: &[
            Risk::Is("1", "a closed connection gives up after one loss: data is lost"),
            Risk::Is("2", "a closed connection gives up after two losses: data is lost"),
        ],
    },
    Sysctl {
        name: "net.ipv4.tcp_rfc1337",
        topic: Topic::Closing,
        does: "With 1 a RST does not end a socket in TIME_WAIT; with 0 one that fits ends it at \
               once.",
        advice_says: "Set it to 1 against TIME_WAIT. It can only make TIME_WAIT last longer.",
        helps: "Never against a leak, and it never lowers the number of TIME_WAIT.",
        harm: "None known; TIME_WAIT sockets that a RST would have ended stay for 60 s.",
        source: "net/ipv4/tcp_minisocks.c tcp_timewait_state_process(); RFC 1337 (ip-sysctl.rst \
                 words it the other way round)",
        scope: Scope::Namespace,
        default: Rule::Always("0"),
        gone: None,
        risks: &[],
    },
];

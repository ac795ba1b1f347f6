//! Asking again: keepalive, retransmission, handshakes.

use crate::doctor::sysctl::default::Rule;
use crate::doctor::sysctl::risk::Risk;
use crate::doctor::sysctl::setting::{Scope, Sysctl, Topic};

pub(super) const PROBING: &[Sysctl] = &[
    Sysctl {
        name: "net.ipv4.tcp_keepalive_time",
        topic: Topic::Probing,
        does: "How long, in seconds, a connection is idle before the first keepalive probe. Only \
               for sockets with SO_KEEPALIVE, and only where they have not set TCP_KEEPIDLE.",
        advice_says: "Lower it to get rid of CLOSE_WAIT. A probe closes nothing: a live peer \
                      answers it. A peer that has forgotten the connection answers with RST, and \
                      then the socket is in CLOSE while its descriptor is still open: the leak \
                      has only left the list.",
        helps: "Where peers vanish without a FIN and ESTABLISHED connections with SO_KEEPALIVE \
                stay for hours, or a NAT forgets idle connections. It never helps against \
                CLOSE_WAIT.",
        harm: "Set low, each idle connection costs packets, and wakes radios and peers.",
        source: "ip-sysctl.rst; tcp(7); net/ipv4/tcp_timer.c tcp_keepalive_timer(); RFC 1122 \
                 4.2.3.6",
        scope: Scope::Namespace,
        default: Rule::Always("7200"),
        gone: None,
        risks: &[Risk::Below(30, "each idle connection is probed more than twice a minute")],
    },
    Sysctl {
        name: "net.ipv4.tcp_keepalive_intvl",
        topic: Topic::Probing,
        does: "How long, in seconds, the kernel waits for an answer to a keepalive probe before \
               it sends the next. Only for sockets with SO_KEEPALIVE that have not set \
               TCP_KEEPINTVL.",
        advice_says: "Lower it to get rid of CLOSE_WAIT. It only finds dead peers sooner, and \
                      their sockets stay open until the application closes them.",
        helps: "Together with tcp_keepalive_probes, where dead peers should be found sooner than \
                11 minutes after the first probe. It never helps against CLOSE_WAIT.",
        harm: "Set low, a short outage of the network ends connections that would have lived.",
        source: "ip-sysctl.rst; tcp(7); net/ipv4/tcp_timer.c tcp_keepalive_timer()",
        scope: Scope::Namespace,
        default: Rule::Always("75"),
        gone: None,
        risks: &[Risk::Below(3, "an outage of some seconds ends idle connections that are fine")],
    },
    Sysctl {
        name: "net.ipv4.tcp_keepalive_probes",
        topic: Topic::Probing,
        does: "How many keepalive probes go unanswered before a connection fails with ETIMEDOUT. \
               Only for sockets with SO_KEEPALIVE that have not set TCP_KEEPCNT.",
        advice_says: "Lower it to get rid of CLOSE_WAIT. It only finds dead peers sooner, and \
                      their sockets stay open until the application closes them.",
        helps: "Together with tcp_keepalive_intvl, where dead peers should be found sooner. It \
                never helps against CLOSE_WAIT.",
        harm: "Set low, some lost packets end connections that would have lived.",
        source: "ip-sysctl.rst; tcp(7); net/ipv4/tcp_timer.c tcp_keepalive_timer()",
        scope: Scope::Namespace,
        default: Rule::Always("9"),
        gone: None,
        risks: &[Risk::Below(2, "one lost packet ends an idle connection that is fine")],
    },
    Sysctl {
        name: "net.ipv4.tcp_retries2",
        topic: Topic::Probing,
        does: "How often unacknowledged data of a live connection is sent again, with growing \
               pauses, before it fails with ETIMEDOUT. 15 is at least 924.6 s. It also counts \
               unanswered probes of a closed window.",
        advice_says: "Lower it to 5 to end dead connections soon. It also ends those that an \
                      outage of some seconds would only have delayed.",
        helps: "Where CLOSE_WAIT sockets have unsent data for a peer that has vanished, it makes \
                them fail sooner; TCP_USER_TIMEOUT in the application does that for the sockets \
                that need it. The descriptor stays open either way.",
        harm: "Set low, every connection of the namespace breaks in a short outage. RFC 1122 asks \
               for 100 s at least, which is 8.",
        source: "ip-sysctl.rst; tcp(7); net/ipv4/tcp_timer.c tcp_write_timeout() and \
                 tcp_probe_timer(); RFC 1122 4.2.3.5",
        scope: Scope::Namespace,
        default: Rule::Always("15"),
        gone: None,
        risks: &[Risk::Below(
            8,
            "live connections fail after less than the 100 s that RFC 1122 asks for",
        )],
    },
    Sysctl {
        name: "net.ipv4.tcp_syn_retries",
        topic: Topic::Probing,
        does: "How often the SYN of connect() is sent again before it fails with ETIMEDOUT. 6 is \
               about two minutes.",
        advice_says: "Lower it to 1 or 2 against stuck connections. It concerns SYN_SENT only.",
        helps: "Where applications without a timeout of their own wait in SYN_SENT for addresses \
                that do not answer. It never helps against CLOSE_WAIT or TIME_WAIT.",
        harm: "Set low, one or two lost packets make connect() fail.",
        source: "ip-sysctl.rst; tcp(7); net/ipv4/tcp_timer.c tcp_write_timeout()",
        scope: Scope::Namespace,
        default: Rule::Always("6"),
        gone: None,
        risks: &[Risk::Below(2, "two lost packets make connect() fail")],
    },
    Sysctl {
        name: "net.ipv4.tcp_synack_retries",
        topic: Topic::Probing,
        does: "How often a listener's SYN-ACK is sent again to a client that does not finish the \
               handshake. 5 is about a minute in SYN_RECV.",
        advice_says: "Lower it to 1 or 2 against SYN floods or CLOSE_WAIT. Against floods \
                      tcp_syncookies is what helps; CLOSE_WAIT is not concerned.",
        helps: "Where the queue of SYN_RECV is full of clients that never answer and cookies \
                cannot be used. It never helps against CLOSE_WAIT or TIME_WAIT.",
        harm: "Set low, clients on lossy networks fail to connect.",
        source: "ip-sysctl.rst; tcp(7); include/net/tcp.h TCP_SYNACK_RETRIES",
        scope: Scope::Namespace,
        default: Rule::Always("5"),
        gone: None,
        risks: &[Risk::Below(2, "clients that lose two packets fail to connect")],
    },
];

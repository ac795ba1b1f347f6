//! Queues of listeners and of packets.

use crate::doctor::sysctl::default::Rule;
use crate::doctor::sysctl::risk::Risk;
use crate::doctor::sysctl::setting::{Scope, Sysctl, Topic};

pub(super) const QUEUES: &[Sysctl] = &[
    Sysctl {
        name: "net.core.somaxconn",
        topic: Topic::Queues,
        does: "The most that listen() gives as length of the queue of connections that wait for \
               accept(). The smaller of it and the backlog that the application asks for counts, \
               at the time of listen().",
        advice_says: "Raise it to 65535 against CLOSE_WAIT. A longer queue lets more connections \
                      wait; none of them is closed sooner.",
        helps: "Where ListenOverflows grows, the application asks for more than it gets, and it \
                does call accept(): a burst then waits instead of being dropped. The application \
                has to call listen() again, so restart it. Where accept() is not called, a longer \
                queue only leaks more.",
        harm: "A long queue of an application that is too slow holds connections whose clients \
               have long given up: these are CLOSE_WAIT in the queue.",
        source: "ip-sysctl.rst (4096; was 128 before 5.4); listen(2); net/socket.c __sys_listen()",
        scope: Scope::Namespace,
        default: Rule::Changed { before: "128", in_version: (5, 4), since: "4096" },
        gone: None,
        risks: &[Risk::BelowDefaultBy(
            8,
            "far below the default: it cuts the queue of every listener, whatever it asks for",
        )],
    },
    Sysctl {
        name: "net.ipv4.tcp_max_syn_backlog",
        topic: Topic::Queues,
        does: "How many handshakes (SYN_RECV) a listener may have open while tcp_syncookies is 0; \
               the last quarter is for known peers. With cookies on, the listener's backlog \
               limits them instead and this does nothing.",
        advice_says: "Raise it against CLOSE_WAIT or for more connections. CLOSE_WAIT is not \
                      concerned, and for more connections somaxconn and the backlog of listen() \
                      count.",
        helps: "Where tcp_syncookies is 0 on purpose and SYNs are dropped. It never helps against \
                a leak.",
        harm: "Little: each handshake takes about 300 bytes.",
        source: "ip-sysctl.rst; net/ipv4/tcp_input.c tcp_conn_request(); net/ipv4/tcp_ipv4.c \
                 tcp_set_hashinfo(): 1/128 of tcp_ehash_entries, at least 128",
        scope: Scope::Namespace,
        default: Rule::SynBacklog,
        gone: None,
        risks: &[Risk::Below(128, "less than the kernel allows on its smallest hosts")],
    },
    Sysctl {
        name: "net.ipv4.tcp_syncookies",
        topic: Topic::Queues,
        does: "What a listener does when its queue of handshakes is full. 0: drops SYNs. 1: \
               answers with cookies, which need no memory. 2: always answers with cookies, for \
               tests.",
        advice_says: "Set it to 1: that is the default. It has no part in CLOSE_WAIT or TIME_WAIT.",
        helps: "Against SYN floods, and it is on already. It never helps against a leak.",
        harm: "0 lets a SYN flood lock clients out. 2 takes options of the protocol from every \
               connection whose client has no timestamps.",
        source: "ip-sysctl.rst; tcp(7); net/ipv4/tcp_input.c tcp_conn_request()",
        scope: Scope::Namespace,
        default: Rule::Always("1"),
        gone: None,
        risks: &[
            Risk::Is("0", "a SYN flood locks clients out of the listener"),
            Risk::Is("2", "it is for tests: cookies also where there is no flood"),
        ],
    },
    Sysctl {
        name: "net.ipv4.tcp_abort_on_overflow",
        topic: Topic::Queues,
        does: "What happens when a handshake ends and the queue for accept() is full. 0: the last \
               ACK is ignored, the client sends again and has another chance. 1: the client gets \
               a RST.",
        advice_says: "Set it to 1 so that clients fail fast. The kernel's document says: only if \
                      the listener cannot be made faster.",
        helps: "Where clients must move to another server at once. It never helps against a leak.",
        harm: "A burst that would have passed in a second is refused.",
        source: "ip-sysctl.rst; tcp(7); net/ipv4/tcp_minisocks.c tcp_check_req()",
        scope: Scope::Namespace,
        default: Rule::Always("0"),
        gone: None,
        risks: &[Risk::Is("1", "a short burst is refused with RST instead of being delayed")],
    },
    Sysctl {
        name: "net.core.netdev_max_backlog",
        topic: Topic::Queues,
        does: "How many packets may wait on each CPU between a device and the protocols: loopback, \
               tunnels, veth, packets that RPS moves, drivers without NAPI. It counts packets, \
               not connections.",
        advice_says: "Raise it against CLOSE_WAIT or for more connections. It has no part in \
                      either.",
        helps: "Where the second column of /proc/net/softnet_stat grows. It never helps against a \
                leak.",
        harm: "A long queue turns loss into delay, and takes memory.",
        source: "net.rst (admin-guide/sysctl); net/core/dev.c enqueue_to_backlog()",
        scope: Scope::Host,
        default: Rule::Always("1000"),
        gone: None,
        risks: &[
            Risk::Below(300, "bursts over loopback and tunnels are dropped"),
            Risk::Above(100_000, "packets wait that nobody wants any more: delay instead of loss"),
        ],
    },
];

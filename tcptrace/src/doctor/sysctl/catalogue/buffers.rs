//! Buffers and memory.

use crate::doctor::sysctl::default::Rule;
use crate::doctor::sysctl::risk::{Risk, not_three_ascending, tcp_memory};
use crate::doctor::sysctl::setting::{Scope, Sysctl, Topic};

const MIB: i64 = 1 << 20;

const HUGE_DEFAULT: &str = "every socket that is not TCP may fill so much without having asked";
const HUGE_MAX: &str = "any process may ask for so much kernel memory for one socket";
const SMALL_MAX: &str = "less than any kernel's default: sockets that ask for buffers get less";
const HUGE_START: &str = "every TCP connection begins with so much, also those that need little";
const HUGE_LEAST: &str = "every TCP connection may keep so much even when memory is short";
const SMALL_GROWTH: &str = "buffers cannot grow: long or fast paths become slow";

const CORE_MAX: Rule = Rule::Changed { before: "212992", in_version: (6, 18), since: "4194304" };

pub(super) const BUFFERS: &[Sysctl] = &[
    Sysctl {
        name: "net.core.rmem_default",
        topic: Topic::Buffers,
        does: "Receive buffer, bytes, with which a socket begins, except TCP: there tcp_rmem \
               counts.",
        advice_says: "Raise it to megabytes for TCP. TCP does not look at it.",
        helps: "For UDP services that lose packets and do not set SO_RCVBUF. It never helps \
                against a leak.",
        harm: "Every UDP and unix socket may fill so much.",
        source: "net.rst (admin-guide/sysctl); socket(7); net/core/sock.c sock_init_data(); \
                 shown in other namespaces since 6.11",
        scope: Scope::HostShown,
        default: Rule::Always("212992"),
        gone: None,
        risks: &[Risk::Above(4 * MIB, HUGE_DEFAULT)],
    },
    Sysctl {
        name: "net.core.rmem_max",
        topic: Topic::Buffers,
        does: "The most, in bytes, that SO_RCVBUF sets; the kernel doubles what is asked for. \
               Buffers that TCP sizes by itself do not look at it.",
        advice_says: "Raise it to 16 MB or more against CLOSE_WAIT. It has no part in that.",
        helps: "For applications that set SO_RCVBUF and need more. It never helps against a leak.",
        harm: "Little in itself; any process may then ask for so much. Old advice may now lower \
               it.",
        source: "net.rst (admin-guide/sysctl); socket(7); net/core/sock.c; 4 MiB since 6.18; \
                 shown in other namespaces since 6.11",
        scope: Scope::HostShown,
        default: CORE_MAX,
        gone: None,
        risks: &[Risk::Below(212_992, SMALL_MAX), Risk::Above(256 * MIB, HUGE_MAX)],
    },
    Sysctl {
        name: "net.core.wmem_default",
        topic: Topic::Buffers,
        does: "Send buffer, bytes, with which a socket begins, except TCP: there tcp_wmem counts.",
        advice_says: "Raise it to megabytes for TCP. TCP does not look at it.",
        helps: "For UDP senders that do not set SO_SNDBUF. It never helps against a leak.",
        harm: "Every UDP and unix socket may fill so much.",
        source: "net.rst (admin-guide/sysctl); socket(7); net/core/sock.c sock_init_data(); \
                 shown in other namespaces since 6.11",
        scope: Scope::HostShown,
        default: Rule::Always("212992"),
        gone: None,
        risks: &[Risk::Above(4 * MIB, HUGE_DEFAULT)],
    },
    Sysctl {
        name: "net.core.wmem_max",
        topic: Topic::Buffers,
        does: "The most, in bytes, that SO_SNDBUF sets; the kernel doubles what is asked for. \
               Buffers that TCP sizes by itself do not look at it.",
        advice_says: "Raise it to 16 MB or more against CLOSE_WAIT. It has no part in that.",
        helps: "For applications that set SO_SNDBUF and need more. It never helps against a leak.",
        harm: "Little in itself; any process may then ask for so much. Old advice may now lower \
               it.",
        source: "net.rst (admin-guide/sysctl); socket(7); net/core/sock.c; 4 MiB since 6.18; \
                 shown in other namespaces since 6.11",
        scope: Scope::HostShown,
        default: CORE_MAX,
        gone: None,
        risks: &[Risk::Below(212_992, SMALL_MAX), Risk::Above(256 * MIB, HUGE_MAX)],
    },
    Sysctl {
        name: "net.ipv4.tcp_rmem",
        topic: Topic::Buffers,
        does: "Receive buffer of a TCP socket, bytes: what it gets even when memory is short, what \
               it begins with, and how far the kernel lets it grow. SO_RCVBUF turns the growth \
               off.",
        advice_says: "Raise all three. The last one is for throughput over long paths; the first \
                      two cost memory for each connection, a leaked one too.",
        helps: "The last number, for fast transfers over long paths. It never helps against a \
                leak.",
        harm: "A large first or second number times many connections fills tcp_mem. Old advice of \
               4 MiB or 16 MiB now lowers the last number.",
        source: "ip-sysctl.rst; tcp(7); net/ipv4/tcp.c tcp_init(): at most 6 MiB, 32 MiB since \
                 6.16, and 1/128 of memory; a new namespace takes the first one's values",
        scope: Scope::Namespace,
        default: Rule::ReceiveBuffers,
        gone: None,
        risks: &[
            Risk::Check(not_three_ascending),
            Risk::PlaceAbove(0, MIB, HUGE_LEAST),
            Risk::PlaceAbove(1, MIB, HUGE_START),
            Risk::PlaceBelow(2, MIB, SMALL_GROWTH),
        ],
    },
    Sysctl {
        name: "net.ipv4.tcp_wmem",
        topic: Topic::Buffers,
        does: "Send buffer of a TCP socket, bytes: what it gets in any case, what it begins with, \
               and how far the kernel lets it grow. SO_SNDBUF turns the growth off.",
        advice_says: "Raise all three. The last one is for throughput over long paths; a large \
                      buffer only hides for longer that a peer does not read.",
        helps: "The last number, for fast transfers over long paths. It never helps against a \
                leak.",
        harm: "A large first or second number times many connections fills tcp_mem.",
        source: "ip-sysctl.rst; tcp(7); net/ipv4/tcp.c tcp_init(): at most 4 MiB and 1/128 of \
                 memory; a new namespace takes the first one's values",
        scope: Scope::Namespace,
        default: Rule::SendBuffers,
        gone: None,
        risks: &[
            Risk::Check(not_three_ascending),
            Risk::PlaceAbove(0, MIB, HUGE_LEAST),
            Risk::PlaceAbove(1, MIB, HUGE_START),
            Risk::PlaceBelow(2, MIB, SMALL_GROWTH),
        ],
    },
    Sysctl {
        name: "net.ipv4.tcp_mem",
        topic: Topic::Buffers,
        does: "Memory of all TCP sockets of the host together, in pages and not in bytes: below \
               the first number all is well, above the second buffers shrink, the third is the \
               end.",
        advice_says: "Set three numbers that fit some other host, often in bytes. The kernel \
                      computes them from the memory of this one.",
        helps: "The third number, where TCP runs out of memory (TCPMemoryPressures, out of memory \
                in the log) and the connections are wanted. Where a leak fills it, close the \
                leak.",
        harm: "Too small: the kernel drops segments and resets connections. Too large: nothing \
               limits TCP.",
        source: "ip-sysctl.rst; tcp(7); net/ipv4/tcp.c tcp_init_mem(): 4.68 %, 6.25 % and 9.37 % \
                 of memory",
        scope: Scope::Host,
        default: Rule::Unknown,
        gone: None,
        risks: &[Risk::Check(not_three_ascending), Risk::Check(tcp_memory)],
    },
];

//! Local ports.

use crate::doctor::sysctl::default::Rule;
use crate::doctor::sysctl::risk::{Risk, port_range};
use crate::doctor::sysctl::setting::{Scope, Sysctl, Topic};

pub(super) const PORTS: &[Sysctl] = &[
    Sysctl {
        name: "net.ipv4.ip_local_port_range",
        topic: Topic::Ports,
        does: "First and last local port that connect() and bind() to port 0 choose from, for TCP \
               and UDP. The default has 28,232. A port can serve many connections, one for each \
               address and port of a peer.",
        advice_says: "Set it to 1024 65535 against TIME_WAIT or CLOSE_WAIT. More ports put the \
                      failure off; they close nothing.",
        helps: "Where connect() fails with EADDRNOTAVAIL because ports to one peer are used up by \
                connections that are wanted, or by TIME_WAIT. Where CLOSE_WAIT holds them, it \
                only buys time.",
        harm: "A range that covers ports of services takes them away: the service then fails to \
               bind with EADDRINUSE. ip_local_reserved_ports protects single ones.",
        source: "ip-sysctl.rst; ip(7); net/ipv4/inet_hashtables.c __inet_hash_connect()",
        scope: Scope::Namespace,
        default: Rule::Always("32768 60999"),
        gone: None,
        risks: &[Risk::Check(port_range)],
    },
    Sysctl {
        name: "net.ipv4.ip_local_reserved_ports",
        topic: Topic::Ports,
        does: "Ports within ip_local_port_range that are not chosen by themselves, as a list such \
               as 8080,9000-9010. A bind() that names one still gets it.",
        advice_says: "Rarely named, and right where ip_local_port_range is widened: list the ports \
                      of services.",
        helps: "Where a service fails to start because an outgoing connection has its port. It \
                never helps against a leak.",
        harm: "Each listed port is one less for connect(). Writing it replaces the whole list.",
        source: "ip-sysctl.rst",
        scope: Scope::Namespace,
        default: Rule::Always(""),
        gone: None,
        risks: &[],
    },
];

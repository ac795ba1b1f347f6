//! Counters of a network namespace, as `/proc/net/netstat`, `snmp` and `sockstat` show them.

use std::collections::HashMap;

/// Counters by protocol and name, `TcpExt` and `ListenDrops`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters(HashMap<(String, String), u64>);

impl Counters {
    /// Takes up `/proc/net/netstat` or `/proc/net/snmp`: a line of names, then one of numbers, each
    /// behind the same protocol's name. What does not fit is left out.
    pub fn add_pairs(&mut self, text: &str) {
        let mut lines = text.lines();
        while let (Some(names), Some(values)) = (lines.next(), lines.next()) {
            let (Some((protocol, names)), Some((same, values))) =
                (names.split_once(':'), values.split_once(':'))
            else {
                return;
            };
            if protocol != same {
                return;
            }
            let pairs = names.split_whitespace().zip(values.split_whitespace());
            self.0.extend(pairs.filter_map(|(name, value)| {
                Some(((protocol.to_owned(), name.to_owned()), value.parse().ok()?))
            }));
        }
    }

    /// Takes up `/proc/net/sockstat`: `TCP: inuse 5 orphan 0 tw 0 alloc 6 mem 1`.
    pub fn add_named(&mut self, text: &str) {
        for line in text.lines() {
            let Some((protocol, rest)) = line.split_once(':') else { continue };
            let words: Vec<&str> = rest.split_whitespace().collect();
            let (pairs, _) = words.as_chunks::<2>();
            self.0.extend(pairs.iter().filter_map(|[name, value]| {
                Some(((protocol.to_owned(), (*name).to_owned()), value.parse().ok()?))
            }));
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A counter; `None`: this kernel has none of this name.
    #[must_use]
    pub fn get(&self, protocol: &str, name: &str) -> Option<u64> {
        self.0.get(&(protocol.to_owned(), name.to_owned())).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_belong_to_the_names_above_them() {
        let mut counters = Counters::default();
        counters
            .add_pairs("TcpExt: SyncookiesSent ListenDrops\nTcpExt: 3 41\nIpExt: X\nIpExt: 9\n");
        counters.add_named("sockets: used 12\nTCP: inuse 5 orphan 0 tw 7 alloc 6 mem 1\n");
        assert_eq!(counters.get("TcpExt", "ListenDrops"), Some(41));
        assert_eq!(counters.get("IpExt", "X"), Some(9));
        assert_eq!(counters.get("TCP", "tw"), Some(7));
        assert_eq!(counters.get("TCP", "nothing"), None, "unknown is not 0");
    }

    #[test]
    fn damage_costs_what_is_damaged() {
        let mut counters = Counters::default();
        counters.add_pairs("TcpExt: A B\nIp: 1 2\n");
        counters.add_pairs("TcpExt: A B C\nTcpExt: 1 x\n");
        counters.add_named("TCP: inuse\nTCP mem 1\nTCP: mem -1\n");
        assert_eq!(counters.get("TcpExt", "A"), Some(1));
        assert_eq!((counters.get("TcpExt", "B"), counters.get("TCP", "mem")), (None, None));
    }
}

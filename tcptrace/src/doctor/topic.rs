//! What doctor looks at: one topic for each finding, and what there is to know of it.

/// Something that doctor looks at.
#[derive(Debug, PartialEq, Eq)]
pub struct Topic {
    /// Frozen token.
    pub id: &'static str,
    /// What it means, in about two lines.
    pub explanation: &'static str,
    /// What not to change although pages say so, and why; empty: nothing to say.
    pub leave: &'static str,
    /// When it counts as what.
    pub rule: &'static str,
    /// Where the facts come from.
    pub source: &'static str,
}

/// Every topic, in the order in which findings are listed.
pub static TOPICS: [&Topic; 15] = [
    &CLOSE_WAIT,
    &DEAD_SOCKETS,
    &FILE_DESCRIPTORS,
    &FILE_TABLE,
    &ACCEPT_QUEUE,
    &SYN_QUEUE,
    &EPHEMERAL_PORTS,
    &TIME_WAIT,
    &TIME_WAIT_BUCKETS,
    &LEAKED_PORTS,
    &STUCK_CLOSE,
    &SYN_SENT,
    &IDLE,
    &ORPHANS,
    &TCP_MEMORY,
];

/// The topic with this token.
#[must_use]
pub fn find(id: &str) -> Option<&'static Topic> {
    TOPICS.iter().copied().find(|topic| topic.id == id)
}

/// Connections that the peer has closed and this side has not.
pub static CLOSE_WAIT: Topic = Topic {
    id: "close-wait",
    explanation: "The peer has closed and the program on this host has not: the state ends when \
                  it calls close(), and never by itself. That is always the program's fault.",
    leave: "No sysctl ends CLOSE_WAIT: tcp_fin_timeout and the tcp_tw_* settings are about the \
            side that closes first. Keepalive finds only peers that are gone, and what it finds \
            becomes a dead socket whose descriptor is still open.",
    rule: "warning: sockets in CLOSE_WAIT for at least --min-age; critical: a process that holds \
           some has used 90 % of its descriptors",
    source: "RFC 9293 section 3.3.2; tcp_fin() in net/ipv4/tcp_input.c; tcp(7)",
};

/// Connections that are over, with a descriptor still open.
pub static DEAD_SOCKETS: Topic = Topic {
    id: "dead-sockets",
    explanation: "The connection is over, reset by the peer or closed by both, and a process \
                  still has the descriptor open. No socket table shows these, so ss and netstat \
                  do not either.",
    leave: "No sysctl has anything to do with it: the kernel has long let go of the connection.",
    rule: "warning: sockets in CLOSE with an open descriptor for at least --min-age; critical: a \
           process that holds some has used 90 % of its descriptors",
    source: "tcp_reset() and tcp_done() in net/ipv4/tcp.c and tcp_input.c",
};

/// Processes near their limit of descriptors.
pub static FILE_DESCRIPTORS: Topic = Topic {
    id: "file-descriptors",
    explanation: "At its limit accept(), connect() and open() of a process fail with EMFILE, \
                  \"Too many open files\"; its clients wait in the accept queue.",
    leave: "A higher limit buys time for a program that leaks, and nothing else; fs.file-max has \
            nothing to do with EMFILE.",
    rule: "warning: 80 % of RLIMIT_NOFILE used; critical: 95 %; where a third is used and the \
           rest would be within a day at the present rate: a notice, and when watched for 30 s or \
           longer a warning, within an hour critical",
    source: "getrlimit(2); alloc_fd() in fs/file.c",
};

/// The host near its limit of open files.
pub static FILE_TABLE: Topic = Topic {
    id: "file-table",
    explanation: "When the host has fs.file-max files open, every process but those of root fails \
                  with ENFILE, \"Too many open files in system\".",
    leave: "",
    rule: "warning: 80 % of fs.file-max; critical: 95 %",
    source: "Documentation/admin-guide/sysctl/fs.rst; alloc_empty_file() in fs/file_table.c",
};

/// Listeners whose queue of finished handshakes is full.
pub static ACCEPT_QUEUE: Topic = Topic {
    id: "accept-queue",
    explanation: "Connections wait for accept(). When the queue is full the kernel drops new \
                  handshakes, and their last packets: clients see delays of seconds, or time out.",
    leave: "A longer queue helps against bursts. Where the process does not call accept() it \
            fills up just the same; tcp_abort_on_overflow turns some of the delays into resets.",
    rule: "warning: a queue is over its limit at both samples or drops packets; notice: a queue \
           is 80 % full, or packets were dropped before",
    source: "sk_acceptq_is_full() in include/net/sock.h; tcp_conn_request() in \
             net/ipv4/tcp_input.c; tcp_v4_syn_recv_sock() in net/ipv4/tcp_ipv4.c; listen(2)",
};

/// Handshakes that have begun and do not end.
pub static SYN_QUEUE: Topic = Topic {
    id: "syn-queue",
    explanation: "Many handshakes wait for their last packet: the way back to the clients is \
                  broken, or somebody floods. The kernel answers with SYN cookies when a queue is \
                  full.",
    leave: "Leave tcp_syncookies at 1: off, a flood wins; at 2 clients without timestamps lose \
            their options. tcp_synack_retries lower than 2 or 3 drops clients on bad networks.",
    rule: "warning: SYN cookies were sent or requests dropped while doctor watched, or 256 \
           handshakes and more whose answer was sent again; notice: 256 in SYN_RECV, or cookies \
           were sent before",
    source: "tcp_conn_request() in net/ipv4/tcp_input.c; Documentation/networking/ip-sysctl.rst",
};

/// Too few local ports for connections to one place.
pub static EPHEMERAL_PORTS: Topic = Topic {
    id: "ephemeral-ports",
    explanation: "A connection needs a local port that no other one to the same address and port \
                  has, those in TIME_WAIT included. Without one connect() fails with \
                  EADDRNOTAVAIL.",
    leave: "tcp_fin_timeout does not shorten TIME_WAIT, which is fixed at 60 s; tcp_tw_recycle is \
            gone since Linux 4.12, and broke clients behind NAT while it was there.",
    rule: "warning: 80 % of the ports for one source, destination and port are in use; critical: \
           97 %; those in TIME_WAIT do not count where tcp_tw_reuse lets connect() take them",
    source: "__inet_hash_connect() in net/ipv4/inet_hashtables.c; \
             Documentation/networking/ip-sysctl.rst",
};

/// Connections that this side has closed first.
pub static TIME_WAIT: Topic = Topic {
    id: "time-wait",
    explanation: "Who closes first keeps the connection's addresses for 60 s, so that late \
                  packets do not get into a new connection. Each takes some hundred bytes, no \
                  descriptor and no time.",
    leave: "Nothing needs to change for TIME_WAIT itself: not tcp_tw_reuse, not \
            tcp_max_tw_buckets, not tcp_fin_timeout, which is about FIN_WAIT2.",
    rule: "ok, whatever their number; ephemeral-ports and time-wait-buckets say where it hurts",
    source: "RFC 9293 section 3.6.1; tcp_time_wait() in net/ipv4/tcp_minisocks.c; \
             TCP_TIMEWAIT_LEN in include/net/tcp.h",
};

/// The limit of sockets in TIME_WAIT.
pub static TIME_WAIT_BUCKETS: Topic = Topic {
    id: "time-wait-buckets",
    explanation: "Beyond tcp_max_tw_buckets the kernel skips TIME_WAIT: a late packet may then \
                  get into a new connection, or a peer that lost the last ACK gets a reset.",
    leave: "Do not lower it to get rid of TIME_WAIT: that is the danger and not the cure.",
    rule: "warning: 80 % of tcp_max_tw_buckets, or TCPTimeWaitOverflow grew while doctor watched; \
           notice: it has grown before. Closed sockets in FIN_WAIT2 count too",
    source: "inet_twsk_alloc() in net/ipv4/inet_timewait_sock.c; RFC 1337",
};

/// Local ports that new connections of this host to itself cannot use.
pub static LEAKED_PORTS: Topic = Topic {
    id: "leaked-ports",
    explanation: "A server on this host leaks connections of clients on this host. A new client \
                  may get one of their ports: the answer to its SYN makes it reset the leaked \
                  socket, which becomes a dead one; where a firewall drops either packet, \
                  connect() times out.",
    leave: "A wider port range makes the hit rarer and keeps the cause.",
    rule: "notice: sockets in CLOSE_WAIT whose peer was on this host, with a port of the \
           ephemeral range that no socket has any more",
    source: "tcp_validate_incoming() and tcp_rcv_synsent_state_process() in net/ipv4/tcp_input.c; \
             RFC 9293 section 3.10.7.4",
};

/// Closes that the peer does not answer.
pub static STUCK_CLOSE: Topic = Topic {
    id: "stuck-close",
    explanation: "This side has closed, and its last data or FIN does not get through: the peer \
                  is gone, has closed its window, or something between drops packets. The kernel \
                  gives up by itself.",
    leave: "Do not lower tcp_retries2 for it: that cuts live connections on a bad network. For \
            sockets without a process tcp_orphan_retries decides.",
    rule: "notice: sockets in FIN_WAIT1, CLOSING or LAST_ACK that have retransmitted three times, \
           or probe a closed window; warning: 64 of them",
    source: "tcp_out_of_resources() and tcp_write_timeout() in net/ipv4/tcp_timer.c",
};

/// Connects that nobody answers.
pub static SYN_SENT: Topic = Topic {
    id: "syn-sent",
    explanation: "connect() has been waiting and the SYN was sent again: the destination is down \
                  or a firewall drops it. The process waits for minutes unless it has a timeout \
                  of its own.",
    leave: "tcp_syn_retries holds for every connection of the host; a timeout belongs into the \
            program.",
    rule: "warning: three sockets and more in SYN_SENT to one address and port have sent their \
           SYN again",
    source: "tcp_write_timeout() in net/ipv4/tcp_timer.c; tcp(7)",
};

/// Connections that may be dead without anybody noticing.
pub static IDLE: Topic = Topic {
    id: "idle-no-keepalive",
    explanation: "Nothing has come or gone for long, and keepalive is off: should the peer be \
                  gone, this side would never learn it. Many pools and consoles are idle and \
                  fine.",
    leave: "The tcp_keepalive_* sysctls change nothing for a socket whose program does not set \
            SO_KEEPALIVE.",
    rule: "notice: sockets in ESTABLISHED without a running timer, idle for at least --min-idle",
    source: "tcp(7), socket(7); tcp_set_keepalive() in net/ipv4/tcp_timer.c",
};

/// Sockets that no process has any more and that are not over.
pub static ORPHANS: Topic = Topic {
    id: "orphans",
    explanation: "Closed sockets that still send are the kernel's own. Beyond tcp_max_orphans it \
                  resets new ones; from a half or a quarter on it does so to peers that do not \
                  answer.",
    leave: "A lower tcp_max_orphans resets connections whose data is still under way.",
    rule: "warning: half of tcp_max_orphans; critical: all",
    source: "tcp_check_oom() and tcp_out_of_resources() in net/ipv4/tcp.c and tcp_timer.c",
};

/// Memory of all TCP sockets together.
pub static TCP_MEMORY: Topic = Topic {
    id: "tcp-memory",
    explanation: "From the second number of tcp_mem on the kernel shrinks windows and buffers; \
                  beyond the third it drops packets and sockets. Its unit is pages, not bytes.",
    leave: "Larger rmem and wmem make it worse: they let each socket take more of the same memory.",
    rule: "warning: more pages than the second number of tcp_mem, or TCPMemoryPressures grew \
           while doctor watched; critical: more than the third",
    source: "Documentation/networking/ip-sysctl.rst; __sk_mem_raise_allocated() in net/core/sock.c",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_are_found_by_their_tokens_and_say_all_there_is_to_say() {
        for topic in TOPICS {
            assert_eq!(find(topic.id), Some(topic));
            for text in [topic.explanation, topic.rule, topic.source] {
                assert!(!text.is_empty() && !text.contains("  "), "{}: {text}", topic.id);
            }
            assert!(topic.explanation.len() <= 260, "{}: more than a few lines", topic.id);
        }
        assert_eq!(find("CLOSE_WAIT"), None);
    }

    #[test]
    fn the_page_for_users_says_the_same() {
        const PAGE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/doctor.md"));
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let page = words(PAGE).to_lowercase();
        let headings: Vec<&str> =
            PAGE.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        assert_eq!(headings, TOPICS.map(|topic| topic.id));
        for topic in TOPICS {
            for text in [topic.explanation, topic.rule, topic.leave, topic.source] {
                assert!(page.contains(&words(text).to_lowercase()), "{}: {text}", topic.id);
            }
        }
    }
}

//! Queues of listeners: connections that wait for accept(), and handshakes under way.

use crate::doctor::facts::{Facts, Namespace};
use crate::doctor::finding::{Change, Finding, Severity};
use crate::doctor::tally::{Listener, Tally, most};
use crate::doctor::topic::{ACCEPT_QUEUE, SYN_QUEUE};
use crate::lifecycle::socket::State;
use crate::lifecycle::wording::count;

use super::grade::{in_each, percent, propose};

/// Percentage of a queue from which on it is worth a word.
const MANY: u64 = 80;
/// Handshakes at once that are more than a few lost packets.
const FLOOD: u64 = 256;
const SOMAXCONN: &str = "net.core.somaxconn";

/// Listeners whose queue is full or nearly, and drops that no queue shows any more.
pub fn accept(facts: &Facts) -> Vec<Finding> {
    let check = |namespace, tally: &Tally| {
        let listeners = tally.listeners.iter();
        let full: Vec<Finding> =
            listeners.filter_map(|own| waiting(facts, namespace, own)).collect();
        if full.is_empty() { dropped(namespace).into_iter().collect() } else { full }
    };
    in_each(facts, &ACCEPT_QUEUE, check, || {
        let listeners: usize =
            facts.read_namespaces().map(|(_, tally)| tally.listeners.len()).sum();
        let listeners = count(listeners as u64, "listener");
        let dropped = if has_counters(facts) { " and nothing was dropped" } else { "" };
        format!("{listeners}, no queue is full{dropped}")
    })
}

/// Whether the counters of each namespace could be read.
fn has_counters(facts: &Facts) -> bool {
    facts.read_namespaces().all(|(namespace, _)| !namespace.after.is_empty())
}

fn waiting(facts: &Facts, namespace: &Namespace, listener: &Listener) -> Option<Finding> {
    let Listener { local, inode, waiting, waited, limit } = *listener;
    let drops = namespace.grown("TcpExt", "ListenOverflows");
    // The kernel takes one more than the limit, and drops what comes then.
    let is_full = |waiting: u32| waiting > limit;
    // A burst may fill a queue for a moment.
    let was_full = waited.is_some_and(is_full) || namespace.before.is_empty();
    let severity = match percent(waiting.into(), u64::from(limit).max(1)) {
        _ if is_full(waiting) && (was_full || drops > Some(0)) => Severity::Warning,
        MANY.. if waiting > 1 || is_full(waiting) => Severity::Notice,
        _ => return None,
    };
    let title = format!(
        "{} waiting for accept() on {}, its queue takes {limit}",
        count(waiting.into(), "connection"),
        local,
    );
    let finding = Finding::new(&ACCEPT_QUEUE, severity, title)
        .of(namespace.inode)
        .with("local_port", u64::from(local.port()))
        .with("waiting", u64::from(waiting))
        .with("waited", waited.map(u64::from))
        .with("limit", u64::from(limit))
        .with("somaxconn", namespace.number(SOMAXCONN))
        .with("overflows_grown", drops)
        .blame(facts.blame(&[inode], "does not accept, or too slowly"))
        .advise(
            "see whether it accepts at all, and what its threads do",
            Some("tcptrace leaks --min-age 1s".to_owned()),
        );
    Some(with_longer_queue(finding, namespace, limit))
}

/// What a longer queue takes: the program's own argument, and somaxconn where that has cut it.
fn with_longer_queue(finding: Finding, namespace: &Namespace, limit: u32) -> Finding {
    let somaxconn = namespace.number(SOMAXCONN);
    if somaxconn != Some(u64::from(limit)) {
        let what = format!(
            "for bursts alone: a longer queue is the program's to ask for, listen(fd, {})",
            u64::from(limit).saturating_mul(8).max(128)
        );
        return finding.advise(what, None);
    }
    let change = Change {
        sysctl: SOMAXCONN,
        value: u64::from(limit).saturating_mul(8).max(4096).to_string(),
        why: "a listener's queue is as long as this allows, so the program may have asked for \
              more; it takes a new listen()"
            .into(),
    };
    let what = "for bursts alone: allow longer queues, then restart the program";
    propose(finding, namespace, what, change)
}

/// Drops while doctor watched, or before, where no queue is full now.
fn dropped(namespace: &Namespace) -> Option<Finding> {
    let overflows = namespace.after.get("TcpExt", "ListenOverflows")?;
    let grown = namespace.grown("TcpExt", "ListenOverflows").unwrap_or(0);
    let (severity, title) = match (grown, overflows) {
        (0, 0) => return None,
        (0, _) => {
            let title = format!("accept queues have overflowed {overflows} times since the start");
            (Severity::Notice, title)
        }
        _ => {
            let packets = count(grown, "packet");
            (Severity::Warning, format!("full accept queues have dropped {packets} just now"))
        }
    };
    let finding = Finding::new(&ACCEPT_QUEUE, severity, title)
        .of(namespace.inode)
        .with("overflows", overflows)
        .with("overflows_grown", grown)
        .with("drops", namespace.after.get("TcpExt", "ListenDrops"))
        .advise("see which queue fills up, when it happens again", namespace.command("ss -ltn"));
    Some(finding)
}

/// Handshakes that do not end.
pub fn syn(facts: &Facts) -> Vec<Finding> {
    in_each(
        facts,
        &SYN_QUEUE,
        |namespace, tally| flood(facts, namespace, tally),
        || {
            let half_open: u64 = facts.read_namespaces().map(|(_, tally)| half_open(tally)).sum();
            let cookies = if has_counters(facts) { ", no SYN cookie was sent" } else { "" };
            format!("{} under way{cookies}", count(half_open, "handshake"))
        },
    )
}

fn half_open(tally: &Tally) -> u64 {
    tally.count(State::SynRecv) + tally.count(State::NewSynRecv)
}

/// Handshakes of a namespace.
struct Handshakes {
    half_open: u64,
    /// Of these those whose answer was sent again.
    unanswered: u64,
    /// SYN cookies sent in all.
    sent: u64,
    /// SYN cookies sent while doctor watched.
    cookies: u64,
    /// Requests dropped while doctor watched.
    dropped: u64,
    /// The port with the most.
    port: Option<u16>,
}

impl Handshakes {
    fn of(namespace: &Namespace, tally: &Tally) -> Self {
        let grown = |name| namespace.grown("TcpExt", name).unwrap_or(0);
        Self {
            half_open: half_open(tally),
            unanswered: tally.half_open.values().map(|share| share.those).sum(),
            sent: namespace.after.get("TcpExt", "SyncookiesSent").unwrap_or(0),
            cookies: grown("SyncookiesSent"),
            dropped: grown("TCPReqQFullDrop"),
            port: most(&tally.half_open, |share| share.all).first().map(|(port, _)| *port),
        }
    }

    fn severity(&self) -> Severity {
        if self.cookies + self.dropped > 0 || self.unanswered >= FLOOD {
            Severity::Warning
        } else if self.half_open >= FLOOD || self.sent > 0 {
            Severity::Notice
        } else {
            Severity::Ok
        }
    }

    fn title(&self) -> String {
        let Self { half_open, sent, cookies, dropped, .. } = self;
        let at =
            self.port.map_or_else(String::new, |port| format!(", most of them at port {port}"));
        if cookies + dropped > 0 {
            format!("{cookies} SYN cookies were sent and {dropped} handshakes dropped just now{at}")
        } else if *half_open < FLOOD {
            format!("{sent} SYN cookies were sent since the start, none just now")
        } else {
            format!("{half_open} handshakes wait for their last packet{at}")
        }
    }
}

fn flood(facts: &Facts, namespace: &Namespace, tally: &Tally) -> Option<Finding> {
    let handshakes = Handshakes::of(namespace, tally);
    let severity = handshakes.severity();
    if severity == Severity::Ok {
        return None;
    }
    let listeners = tally.listeners.iter();
    let there = listeners.filter(|own| Some(own.local.port()) == handshakes.port);
    let inodes: Vec<u32> = there.map(|own| own.inode).collect();
    let finding = Finding::new(&SYN_QUEUE, severity, handshakes.title())
        .of(namespace.inode)
        .with("syn_recv", handshakes.half_open)
        .with("unanswered", handshakes.unanswered)
        .with("cookies_sent", handshakes.sent)
        .with("cookies_grown", handshakes.cookies)
        .with("dropped_grown", handshakes.dropped)
        .with("max_syn_backlog", namespace.number("net.ipv4.tcp_max_syn_backlog"))
        .blame(facts.blame(&inodes, "listens there"));
    Some(advised(finding, namespace, severity))
}

fn advised(finding: Finding, namespace: &Namespace, severity: Severity) -> Finding {
    if severity == Severity::Notice {
        return finding;
    }
    let finding = finding.advise(
        "see who they are: one network is a broken way back, thousands are a flood",
        namespace.command("ss -tn state syn-recv"),
    );
    let why = match namespace.number("net.ipv4.tcp_syncookies") {
        Some(0) => "it is off, so a full queue drops handshakes",
        Some(2) => "at 2 every handshake is answered with a cookie, full queue or not",
        _ => return finding,
    };
    let change =
        Change { sysctl: "net.ipv4.tcp_syncookies", value: "1".to_owned(), why: why.into() };
    let what = "let the kernel answer with cookies when a queue is full, and only then";
    propose(finding, namespace, what, change)
}

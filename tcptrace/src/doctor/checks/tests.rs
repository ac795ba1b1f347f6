use std::collections::BTreeMap;

use super::*;
use crate::doctor::counters::Counters;
use crate::doctor::facts::{HostFacts, Namespace, Process};
use crate::doctor::finding::{Evidence, Severity};
use crate::doctor::ports::Ephemeral;
use crate::doctor::tally::tests::seen;
use crate::doctor::tally::{Seen, Tally, Timer};
use crate::doctor::topic::{
    ACCEPT_QUEUE, CLOSE_WAIT, EPHEMERAL_PORTS, FILE_DESCRIPTORS, FILE_TABLE, ORPHANS, SYN_QUEUE,
    SYN_SENT, TCP_MEMORY, TIME_WAIT, TIME_WAIT_BUCKETS,
};
use crate::lifecycle::socket::State;

const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3600 * SECOND;

fn sysctls(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn counters(text: &str) -> Counters {
    let mut counters = Counters::default();
    counters.add_pairs(text);
    counters
}

/// A host with one namespace that has ten ports to give, a listener on port 80 and these sockets.
fn facts(sockets: &[Seen]) -> Facts {
    let ports = Ephemeral::parse("40000 40009", "").unwrap();
    let mut tally = Tally::default();
    tally.add_listener(&seen(State::Listen, "0.0.0.0:80", "0.0.0.0:0"));
    sockets.iter().for_each(|socket| tally.add(socket, Some(&ports), HOUR));
    let settings = [
        ("net.ipv4.ip_local_port_range", "40000 40009"),
        ("net.ipv4.tcp_tw_reuse", "2"),
        ("net.ipv4.tcp_timestamps", "1"),
        ("net.ipv4.tcp_max_tw_buckets", "1000"),
        ("net.ipv4.tcp_max_orphans", "100"),
        ("net.ipv4.tcp_mem", "10 20 30"),
    ];
    let namespace = Namespace {
        inode: 9,
        is_own: true,
        sysctls: sysctls(&settings),
        tally: Some(tally),
        ..Namespace::default()
    };
    Facts {
        window_ns: SECOND,
        namespaces: vec![namespace],
        leaks: Some(Vec::new()),
        min_age_ns: 30 * SECOND,
        min_idle_ns: HOUR,
        is_whole_host: true,
        host: HostFacts { page_bytes: 4096, sysctls: sysctls(&settings), ..HostFacts::default() },
        ..Facts::default()
    }
}

fn of(facts: &Facts, topic: &'static Topic) -> Finding {
    let mut findings = examine(facts).into_iter();
    findings.find(|finding| finding.topic == topic).unwrap()
}

fn process(used: u64, before: u64, limit: u64) -> Process {
    Process {
        pid: 7,
        comm: "java".to_owned(),
        fds: Some(used),
        fds_before: Some(before),
        fd_limit: Some(limit),
        ..Process::default()
    }
}

fn time_wait(to: &str) -> Vec<Seen> {
    let port = |port: u16| seen(State::TimeWait, &format!("10.0.0.1:{}", 40_000 + port), to);
    (0..9).map(port).collect()
}

#[test]
fn a_host_without_trouble_is_told_so_topic_by_topic() {
    let findings = examine(&facts(&[]));
    assert!(findings.iter().all(|own| own.severity == Severity::Ok), "{findings:#?}");
    assert!(findings.len() >= 10, "{findings:#?}");
}

#[test]
fn what_was_not_seen_is_not_called_fine() {
    let mut blind = facts(&[]);
    (blind.leaks, blind.namespaces[0].tally) = (None, None);
    assert_eq!(examine(&blind), vec![], "no process, no socket, nothing of the host");
}

#[test]
fn the_worst_comes_first() {
    let mut host = facts(&time_wait("10.0.0.9:80"));
    host.processes = vec![process(1000, 1000, 1024)];
    let severities: Vec<_> = examine(&host).iter().map(|own| own.severity).collect();
    assert!(severities.is_sorted_by(|a, b| a >= b), "{severities:?}");
    assert_eq!(severities[..2], [Severity::Critical, Severity::Warning]);
}

#[test]
fn descriptors_are_judged_by_their_number_and_by_their_growth() {
    let after = |seconds: u64, used, before, limit| {
        let mut host = facts(&[]);
        host.window_ns = seconds * SECOND;
        host.processes = vec![process(used, before, limit)];
        of(&host, &FILE_DESCRIPTORS).severity
    };
    let severity = |used, before, limit| after(30, used, before, limit);
    assert_eq!(severity(100, 100, 1024), Severity::Ok);
    assert_eq!(severity(820, 820, 1024), Severity::Warning);
    assert_eq!(severity(980, 980, 1024), Severity::Critical);
    assert_eq!(severity(500, 470, 1024), Severity::Critical, "one a second: full in nine minutes");
    assert_eq!(after(1, 500, 499, 1024), Severity::Notice, "a second tells little");
    assert_eq!(severity(40_000, 39_970, 100_000), Severity::Warning, "full in 16 hours");
    assert_eq!(severity(100, 50, 1024), Severity::Ok, "a program that has just begun");
    assert_eq!(severity(5000, 0, u64::MAX), Severity::Ok, "no limit");
}

#[test]
fn a_forecast_is_in_the_title_and_in_the_evidence() {
    let mut host = facts(&[]);
    host.processes = vec![process(40_000, 39_999, 100_000)];
    let found = of(&host, &FILE_DESCRIPTORS);
    assert!(found.title.contains("\"Too many open files\" in 16h40m"), "{}", found.title);
    let left = found.evidence.iter().find(|(key, _)| *key == "exhausted_in_ns").unwrap();
    assert_eq!(left.1, Evidence::Count(60_000 * SECOND));
}

#[test]
fn the_host_has_limits_of_its_own() {
    let with = |change: fn(&mut HostFacts)| {
        let mut host = facts(&[]);
        change(&mut host.host);
        host
    };
    let orphans = |facts: &Facts| of(facts, &ORPHANS).severity;
    assert_eq!(orphans(&with(|host| host.orphans = Some(49))), Severity::Ok);
    assert_eq!(orphans(&with(|host| host.orphans = Some(50))), Severity::Warning);
    assert_eq!(orphans(&with(|host| host.orphans = Some(100))), Severity::Critical);
    let memory = |facts: &Facts| of(facts, &TCP_MEMORY).severity;
    assert_eq!(memory(&with(|host| host.memory_pages = Some(20))), Severity::Ok);
    assert_eq!(memory(&with(|host| host.memory_pages = Some(21))), Severity::Warning);
    assert_eq!(memory(&with(|host| host.memory_pages = Some(31))), Severity::Critical);
    let files = with(|host| (host.files, host.files_max) = (Some(96), Some(100)));
    assert_eq!(of(&files, &FILE_TABLE).severity, Severity::Critical);
    let mut some = files;
    some.is_whole_host = false;
    assert!(examine(&some).iter().all(|own| own.topic != &FILE_TABLE), "only some namespaces");
}

#[test]
fn reuse_is_advised_where_it_works() {
    let sysctls = |facts: &Facts| -> Vec<&str> {
        of(facts, &EPHEMERAL_PORTS).changes.iter().map(|change| change.sysctl).collect()
    };
    let (reuse, range) = ("net.ipv4.tcp_tw_reuse", "net.ipv4.ip_local_port_range");
    let far = facts(&time_wait("10.0.0.9:80"));
    assert_eq!(of(&far, &EPHEMERAL_PORTS).severity, Severity::Warning);
    assert_eq!(sysctls(&far), [reuse, range]);
    let near = facts(&time_wait("127.0.0.1:8080"));
    assert_eq!(of(&near, &EPHEMERAL_PORTS).severity, Severity::Ok, "2 does it on loopback");
    assert!(of(&near, &TIME_WAIT).title.contains("harmless"));
    assert!(of(&far, &TIME_WAIT).title.contains("see ephemeral-ports"));
    let mut without = facts(&time_wait("10.0.0.9:80"));
    without.namespaces[0].sysctls.insert("net.ipv4.tcp_timestamps".to_owned(), "0".to_owned());
    assert_eq!(sysctls(&without), [range]);
    assert!(of(&without, &EPHEMERAL_PORTS).advice.iter().any(|own| own.what.contains("no effect")));
}

#[test]
fn many_in_time_wait_are_no_trouble() {
    let found = of(&facts(&time_wait("10.0.0.9:80")), &TIME_WAIT);
    assert_eq!(found.severity, Severity::Ok);
    assert!(found.title.contains("9 sockets in TIME_WAIT"), "{}", found.title);
    assert_eq!(found.culprits[0].part, "9 closed first by a client of 10.0.0.9:80");
}

#[test]
fn counters_tell_what_no_queue_shows_any_more() {
    let text = |overflows: u64, cookies: u64| {
        format!(
            "TcpExt: ListenOverflows ListenDrops SyncookiesSent\nTcpExt: {overflows} {overflows} {cookies}\n"
        )
    };
    let severities = |before: &str, after: &str| {
        let mut host = facts(&[]);
        host.namespaces[0].before = counters(before);
        host.namespaces[0].after = counters(after);
        (of(&host, &ACCEPT_QUEUE).severity, of(&host, &SYN_QUEUE).severity)
    };
    assert_eq!(severities(&text(0, 0), &text(0, 0)), (Severity::Ok, Severity::Ok));
    assert_eq!(severities(&text(5, 3), &text(5, 3)), (Severity::Notice, Severity::Notice));
    assert_eq!(severities(&text(5, 3), &text(6, 4)), (Severity::Warning, Severity::Warning));
    assert_eq!(
        severities("", &text(6, 4)),
        (Severity::Notice, Severity::Notice),
        "no first sample"
    );
}

#[test]
fn a_queue_that_is_full_for_a_moment_is_no_warning() {
    let severity = |waiting, waited, limit| {
        let mut host = facts(&[]);
        host.namespaces[0].before = counters("TcpExt: ListenOverflows\nTcpExt: 0\n");
        let listener = &mut host.namespaces[0].tally.as_mut().unwrap().listeners[0];
        (listener.waiting, listener.waited, listener.limit) = (waiting, waited, limit);
        of(&host, &ACCEPT_QUEUE).severity
    };
    assert_eq!(severity(3, Some(3), 2), Severity::Warning);
    assert_eq!(severity(3, Some(0), 2), Severity::Notice);
    assert_eq!(severity(3, None, 2), Severity::Notice);
    assert_eq!(severity(2, Some(2), 2), Severity::Notice, "there is room for one more");
    assert_eq!(severity(1, Some(1), 1), Severity::Ok, "one is on its way");
    assert_eq!(severity(1, Some(1), 0), Severity::Warning, "a backlog of 0 takes one");
    assert_eq!(severity(103, Some(0), 128), Severity::Notice);
}

#[test]
fn what_is_no_descriptor_limit_for_root_is_one_for_the_process() {
    let command = |limit, hard| {
        let mut host = facts(&[]);
        host.host.sysctls.insert("fs.nr_open".to_owned(), "1048576".to_owned());
        host.processes =
            vec![Process { fd_hard_limit: Some(hard), ..process(limit - 1, limit - 1, limit) }];
        of(&host, &FILE_DESCRIPTORS).advice.into_iter().filter_map(|own| own.command).next_back()
    };
    let of = |text: &str| Some(format!("prlimit --pid 7 --nofile={text}"));
    assert_eq!(command(1024, 524_288), of("65536:"), "the hard limit stays");
    assert_eq!(command(1024, 4096), of("4096:"));
    assert_eq!(command(1024, 1024), of("65536:65536"));
    assert_eq!(
        command(524_288, 524_288),
        of("1048576:1048576"),
        "nobody gets more than fs.nr_open"
    );
    assert_eq!(command(1_048_576, 1_048_576), Some("ls -l /proc/7/fd".to_owned()));
}

#[test]
fn closed_sockets_in_fin_wait2_take_buckets_too() {
    let mut host = facts(&time_wait("127.0.0.1:8080"));
    let severity = |host: &Facts| of(host, &TIME_WAIT_BUCKETS).severity;
    assert_eq!(severity(&host), Severity::Ok);
    host.namespaces[0].after = counters("TcpExt: TCPTimeWaitOverflow\nTcpExt: 4\n");
    assert_eq!(severity(&host), Severity::Notice, "before doctor looked");
    host.namespaces[0].after.add_named("TCP: inuse 1 tw 900\n");
    assert_eq!(severity(&host), Severity::Warning);
}

#[test]
fn hundreds_of_workers_are_some_culprits_and_a_number() {
    let mut host = facts(&[]);
    host.processes = (1..=300).map(|pid| Process { pid, ..process(10, 10, 1024) }).collect();
    host.holders.insert(7, (0..300).collect());
    let listener = &mut host.namespaces[0].tally.as_mut().unwrap().listeners[0];
    (listener.waiting, listener.limit) = (3, 2);
    let found = of(&host, &ACCEPT_QUEUE);
    assert_eq!(found.culprits.len(), 9);
    assert_eq!(found.culprits[8].part, "and 292 more");
}

#[test]
fn a_timer_that_hides_keepalive_leaves_it_unknown() {
    let stuck = |timer| Seen {
        idle_ns: Some(40 * SECOND),
        timer,
        ..seen(State::CloseWait, "10.0.0.1:80", "10.0.0.2:5000")
    };
    let keepalive = |timer| {
        let mut host = facts(&[stuck(timer)]);
        host.leaks = None;
        let found = of(&host, &CLOSE_WAIT);
        found.evidence.into_iter().find(|(key, _)| *key == "keepalive").unwrap().1
    };
    assert_eq!(keepalive(Timer::Probe), Evidence::Unknown);
    assert_eq!(keepalive(Timer::None), Evidence::Count(0));
    assert_eq!(keepalive(Timer::Keepalive(1)), Evidence::Count(1));
}

#[test]
fn who_waits_in_connect_is_who_sent_a_syn_again() {
    let waiting = Seen {
        timer: Timer::Retransmit(1),
        inode: 8,
        ..seen(State::SynSent, "10.0.0.1:40001", "10.0.0.9:5432")
    };
    let innocent = seen(State::Established, "10.0.0.1:40002", "10.0.0.9:5432");
    let mut host = facts(&[innocent, waiting, waiting, waiting]);
    host.processes = vec![process(10, 10, 1024), Process { pid: 9, ..process(10, 10, 1024) }];
    host.holders = [(7, vec![0]), (8, vec![1])].into();
    let found = of(&host, &SYN_SENT);
    assert_eq!(found.culprits.iter().map(|own| own.pid).collect::<Vec<_>>(), [Some(9)]);
}

#[test]
fn many_handshakes_are_a_flood_when_nobody_ends_them() {
    let half_open = |retried: u8| {
        let one = |port: u16| Seen {
            timer: Timer::Retransmit(retried),
            ..seen(State::NewSynRecv, "10.0.0.1:80", &format!("10.0.0.9:{port}"))
        };
        facts(&(1..=300).map(one).collect::<Vec<_>>())
    };
    assert_eq!(of(&half_open(1), &SYN_QUEUE).severity, Severity::Warning);
    assert_eq!(of(&half_open(0), &SYN_QUEUE).severity, Severity::Notice, "a busy server");
}

#[test]
fn without_the_kernel_side_close_wait_is_known_by_its_idleness() {
    let old = Seen {
        idle_ns: Some(40 * SECOND),
        timer: Timer::Keepalive(5 * SECOND),
        ..seen(State::CloseWait, "10.0.0.1:80", "10.0.0.2:5000")
    };
    let young = Seen { idle_ns: Some(10 * SECOND), cookie: 2, ..old };
    let mut host = facts(&[old, young]);
    host.leaks = None;
    host.processes = vec![process(10, 10, 1024)];
    host.holders.insert(7, vec![0]);
    let found = of(&host, &CLOSE_WAIT);
    assert_eq!(
        (found.severity, &found.evidence[0]),
        (Severity::Warning, &("sockets", Evidence::Count(1)))
    );
    assert_eq!(found.culprits[0].pid, Some(7));
    assert!(found.advice.iter().any(|own| own.what.contains("probes first in 5s")), "{found:#?}");
    host.processes = vec![process(1000, 1000, 1024)];
    assert_eq!(of(&host, &CLOSE_WAIT).severity, Severity::Critical, "nearly out of descriptors");
}

#[test]
fn commands_reach_another_namespace_by_one_of_its_processes() {
    let mut host = facts(&time_wait("10.0.0.9:80"));
    let command = |host: &Facts| {
        let advice = of(host, &EPHEMERAL_PORTS).advice;
        advice.into_iter().find_map(|own| own.command).unwrap()
    };
    assert_eq!(command(&host), "sysctl -w net.ipv4.tcp_tw_reuse='1'");
    let namespace = &mut host.namespaces[0];
    (namespace.is_own, namespace.place) = (false, Some("/proc/55/ns/net".to_owned()));
    assert_eq!(command(&host), "nsenter --net=/proc/55/ns/net sysctl -w net.ipv4.tcp_tw_reuse='1'");
}

//! Reports made by hand.

use crate::lifecycle::age::Age;
use crate::lifecycle::cause::{Cause, Kind};
use crate::lifecycle::report::{
    Degradation, Eof, FdUse, Group, Growth, Holder, Leak, Listener, Party, Report,
};
use crate::lifecycle::socket::{Endpoint, Endpoints, Role};
use crate::lifecycle::untraced::Untraced;

mod servers;
pub mod stacks;

pub use servers::servers;

const SECOND: u64 = 1_000_000_000;
const CHECKED_AT: u64 = 1_795_313_880_123_456_789;
const CONTAINER: &str = "3f2a9c0d1e4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1";

fn party(pid: u32, comm: &str) -> Party {
    Party { pid, comm: comm.into(), start_time_ns: u64::from(pid) * SECOND, ..Party::default() }
}

/// All that `/proc` can tell.
fn known(pid: u32, comm: &str, exe: &str, label: Option<&str>) -> Party {
    Party {
        exe: Some(exe.into()),
        label: label.map(str::to_owned),
        uid: Some(1000),
        cgroup: Some("/system.slice/app.service".into()),
        ..party(pid, comm)
    }
}

fn holder(party: Party, fds: &[u32]) -> Holder {
    Holder { party, fds: fds.to_vec(), fd_used: Some(41), fd_limit: Some(1024) }
}

fn end(addr: &str, port: u16) -> Endpoint {
    Endpoint { addr: Some(addr.parse().unwrap()), port: Some(port) }
}

fn leak(cookie: u64, local: Endpoint, remote: Endpoint) -> Leak {
    Leak {
        kind: Kind::CloseWait,
        cause: Cause::EofNotRead,
        evidence: vec![],
        cookie,
        netns: 4_026_531_840,
        ends: Endpoints { local, remote },
        role: Role::Passive,
        seen_ns: CHECKED_AT,
        age: Age::Exact(63 * SECOND),
        unread_bytes: Some(0),
        unsent_bytes: Some(0),
        keepalive: false,
        opener: None,
        open_stack: stacks::untraced(Untraced::Before),
        holders: vec![],
        listener: None,
        service_port: None,
        eof: None,
    }
}

/// A group of leaks, as the grouping would make it.
pub fn group(key: &str, leaks: Vec<Leak>, blamed: Vec<Holder>) -> Group {
    let first = &leaks[0];
    let same = |same: bool| same.then_some(());
    let local = Endpoint {
        addr: same(leaks.iter().all(|l| l.ends.local.addr == first.ends.local.addr))
            .and(first.ends.local.addr),
        port: same(leaks.iter().all(|l| l.ends.local.port == first.ends.local.port))
            .and(first.ends.local.port),
    };
    let mut peers: Vec<_> = vec![];
    for leak in &leaks {
        let addr = leak.ends.remote.addr;
        match peers.iter_mut().find(|(peer, _)| *peer == addr) {
            Some((_, count)) => *count += 1,
            None => peers.push((addr, 1)),
        }
    }
    let cause = first.cause;
    Group { key: key.into(), cause, blamed, by: None, leaks, growth: None, fds: None, local, peers }
}

/// In the accept queue of an IPv6 listener.
fn never_accepted() -> Group {
    let mut java = known(4244, "java", "/opt/jdk/bin/java", Some("com.example.Broker"));
    java.cgroup = Some(format!("/system.slice/docker-{CONTAINER}.scope"));
    java.container = Some(CONTAINER.into());
    let blamed = holder(java.clone(), &[17]);
    let listener = Listener {
        local: end("::", 61616),
        backlog: 41,
        backlog_max: 50,
        last_accept: Age::Between { min: 41 * SECOND, max: None },
        accept_error: None,
        opener: Some(Party { tid: Some(4250), ..java }),
        listen_stack: stacks::failed(),
        holders: vec![blamed.clone()],
    };
    let waiting = |cookie: u64| Leak {
        cause: Cause::NeverAccepted,
        evidence: vec![Cause::EofNotRead],
        age: Age::Between { min: 252 * SECOND, max: Some(260 * SECOND) },
        listener: Some(listener.clone()),
        ..leak(cookie, end("127.0.0.1", 61616), end("127.0.0.1", 40_000 + cookie as u16))
    };
    Group {
        growth: Some(Growth { per_minute: 3.125, observed: true }),
        fds: Some(FdUse {
            pid: 4244,
            used: 41,
            limit: 1024,
            exhausted_in_ns: Some(11_520 * SECOND),
        }),
        ..group("never-accepted:java", (1..=3).map(waiting).collect(), vec![blamed])
    }
}

/// A read returned 0; the process was traced from the beginning.
fn eof_read() -> Group {
    let python = known(2576, "python3", "/usr/bin/python3.11", Some("/srv/app.py"));
    let blamed = holder(python.clone(), &[7, 9, 12]);
    let opener = Party { tid: Some(2580), ..python };
    let reader = Party { tid: Some(2581), ..party(2576, "python3") };
    let read = |(cookie, remote, fd): (u64, &str, u32)| Leak {
        cause: Cause::EofReadNotClosed,
        keepalive: true,
        opener: Some(opener.clone()),
        open_stack: stacks::python(),
        holders: vec![Holder { fds: vec![fd], ..blamed.clone() }],
        eof: Some(Eof {
            time_ns: CHECKED_AT - 63 * SECOND,
            reader: reader.clone(),
            stack: stacks::python_read(if fd == 12 { 31 } else { 5 }),
        }),
        ..leak(cookie, end("10.0.0.1", 18082), end(remote, 50_000 + cookie as u16))
    };
    let leaks = [(11, "10.0.0.7", 7), (12, "10.0.0.7", 9), (13, "10.0.0.8", 12)];
    Group {
        growth: Some(Growth { per_minute: 0.4, observed: false }),
        fds: Some(FdUse { pid: 2576, used: 41, limit: u64::MAX, exhausted_in_ns: None }),
        ..group("eof-read:python3", leaks.into_iter().map(read).collect(), vec![blamed])
    }
}

/// Names chosen to harm a terminal; the opener is not the holder; IPv6.
fn hostile() -> Group {
    let mut evil = party(666, "\x1b[2J\x1b[1;1Hroot\n");
    evil.exe = Some("/tmp/\u{202e}gpj.exe\u{9b}31m (deleted)".into());
    evil.label = Some("日本語のとても長い名前のスクリプトで幅をはみ出すもの.py".into());
    let opener = Party { tid: Some(601), ..party(600, "par\x07ent") };
    let held = Leak {
        cause: Cause::HeldByOther,
        evidence: vec![Cause::DataNotRead],
        netns: 4_026_532_345,
        role: Role::Active,
        unread_bytes: Some(1224),
        opener: Some(opener),
        open_stack: stacks::hostile(),
        holders: vec![holder(evil.clone(), &[3, 4]), holder(party(667, "child"), &[3])],
        ..leak(21, end("2001:db8:1111:2222:3333:4444:5555:6666", 40_021), end("2001:db8::1", 443))
    };
    let blamed = held.holders.clone();
    group("held-by-other:evil", vec![held], blamed)
}

/// No process has a descriptor, and none was seen to open it.
fn held_by_kernel() -> Group {
    let held = Leak {
        cause: Cause::HeldByKernel,
        age: Age::Between { min: 40 * SECOND, max: None },
        role: Role::Unknown,
        unread_bytes: None,
        unsent_bytes: None,
        open_stack: stacks::untraced(Untraced::Outside),
        ..leak(31, end("192.0.2.1", 8080), end("192.0.2.9", 51_000))
    };
    group("held-by-kernel:8080", vec![held], vec![])
}

/// Reset by the peer; the kernel has forgotten the local port.
fn dead() -> Group {
    let nginx = holder(party(80, "nginx"), &[22]);
    let unknown = Endpoint { addr: Some("10.0.0.1".parse().unwrap()), port: None };
    let dead = Leak {
        kind: Kind::Dead,
        cause: Cause::DeadReset,
        age: Age::Unknown,
        unread_bytes: None,
        unsent_bytes: None,
        holders: vec![nginx.clone()],
        ..leak(41, unknown, end("10.0.0.9", 52_000))
    };
    group("dead-reset:nginx", vec![dead], vec![nginx])
}

fn half_closed() -> Group {
    let rsync = holder(party(873, "rsync"), &[5]);
    let half = Leak {
        cause: Cause::HalfClose,
        age: Age::Exact(90 * SECOND),
        unsent_bytes: Some(4096),
        holders: vec![rsync.clone()],
        ..leak(51, end("10.0.0.1", 873), end("10.0.0.5", 53_000))
    };
    group("half-close:rsync", vec![half], vec![rsync])
}

/// One group of each kind.
pub fn full() -> Report {
    Report {
        checked_at_ns: CHECKED_AT,
        traced_ns: 42 * SECOND,
        min_age_ns: 30 * SECOND,
        groups: vec![never_accepted(), eof_read(), hostile(), held_by_kernel(), dead()],
        half_closed: vec![half_closed()],
        sockets_checked: 27,
        namespaces: 3,
        events: 12_345,
        closed_late: 2,
        lost: vec![("ring_full".into(), 3), ("memory_full".into(), 0)],
        degradations: vec![Degradation {
            token: "no-eof-witness".into(),
            sentence: "the kernel has no sock_recv_length tracepoint (since 6.3)".into(),
        }],
        kernel: "6.18.0".into(),
    }
}

/// Nothing leaks, nothing is lost.
pub fn empty() -> Report {
    Report {
        groups: vec![],
        half_closed: vec![],
        sockets_checked: 5,
        closed_late: 0,
        lost: vec![("ring_full".into(), 0)],
        degradations: vec![],
        ..full()
    }
}

/// Each field has a value somewhere, none is empty.
pub fn populated() -> Report {
    let mut report = full();
    let all = &mut report.groups[0].leaks[0];
    let python = eof_read().leaks.remove(0);
    all.opener = python.opener.clone();
    all.eof = python.eof;
    all.unread_bytes = Some(1);
    let java = all.listener.as_ref().unwrap().holders[0].clone();
    all.holders = vec![java.clone()];
    all.opener = Some(Party { tid: Some(1), ..java.party });
    report
}

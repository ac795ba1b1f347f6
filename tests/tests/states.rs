//! `tcptrace states` against what was staged, and against `ss`.

use std::collections::BTreeMap;
use std::io::pipe;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tcptrace_tests::actor::Actor;
use tcptrace_tests::netns::{NetPair, Netns};
use tcptrace_tests::scenario::Scenario;
use tcptrace_tests::tool::{self, Finished};
use tcptrace_tests::wait::until;
use tcptrace_tests::{schema, ss};

/// Counts by the kernel's name of the state.
type Counts = BTreeMap<String, u64>;

fn counts(of: &[(&str, u64)]) -> Counts {
    of.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect()
}

fn states(options: &[&str]) -> Result<Finished> {
    let mut command = tool::command(&["states", "-o", "json"])?;
    command.args(options);
    let finished = tool::run(command)?.expect_code(0)?;
    for object in finished.objects()? {
        schema::check_states(&object)?;
    }
    Ok(finished)
}

/// The counts of one key, zeros left out.
fn of_key(finished: &Finished, key: &Value) -> Result<Counts> {
    let mut counts = Counts::new();
    for object in finished.objects()? {
        let count = object["count"].as_u64().unwrap_or(0);
        if object["type"] == "state_count" && object["key"] == *key && count > 0 {
            counts.insert(object["state"].as_str().context("no state")?.to_owned(), count);
        }
    }
    Ok(counts)
}

fn in_namespace(ns: &Netns, options: &[&str]) -> Result<Counts> {
    let place = ns.path().display().to_string();
    let finished = states(&[&["--netns", &place], options].concat())?;
    of_key(&finished, &json!({}))
}

/// What `ss` counts, in the kernel's spelling.
fn by_ss(ns: &Netns) -> Result<Counts> {
    let mut counts = Counts::new();
    for socket in ss::sockets(ns)? {
        let state = match socket.state.as_str() {
            "ESTAB" => "ESTABLISHED".to_owned(),
            "FIN-WAIT-1" => "FIN_WAIT1".to_owned(),
            "FIN-WAIT-2" => "FIN_WAIT2".to_owned(),
            other => other.replace('-', "_"),
        };
        *counts.entry(state).or_default() += 1;
    }
    Ok(counts)
}

/// A server's and a client's namespace with sockets in every state, each by a process of its own.
struct Crowd {
    pair: NetPair,
    server: Actor,
    client: Actor,
}

/// An address of the client's to which the server's answers get lost, once [`Crowd::lose`] is
/// called, while its own packets arrive.
const DEAF: &str = "10.77.0.3";
/// An address that nobody has; packets to it get lost.
const NOBODY: &str = "10.77.0.99";
/// A station that does not exist.
const NOWHERE: &str = "02:00:00:00:00:99";

impl Crowd {
    fn new() -> Result<Self> {
        let pair = NetPair::new()?;
        pair.b.ip(&["address", "add", "10.77.0.3/32", "dev", "veth0"])?;
        pair.b.ip(&["neigh", "add", NOBODY, "lladdr", NOWHERE, "dev", "veth0"])?;
        let (server, client) = (Actor::spawn(&pair.a)?, Actor::spawn(&pair.b)?);
        Ok(Self { pair, server, client })
    }

    /// From now on the server's packets to [`DEAF`] get lost.
    fn lose(&self) -> Result<()> {
        self.pair.a.ip(&["neigh", "replace", DEAF, "lladdr", NOWHERE, "dev", "veth0"])
    }

    fn connect(&mut self, group: &str, count: usize, from: &str) -> Result<()> {
        let to = SocketAddr::new(self.pair.a.v4.into(), 8000);
        self.server.begin(&format!("accept {group} web {count}"))?;
        self.client.tell(&format!("connect {group} {to} {count} from {from}"))?;
        self.server.wait()
    }

    /// Makes all of them.
    fn gather(&mut self) -> Result<()> {
        let (a, b) = (self.pair.a.v4, self.pair.b.v4.to_string());
        for (name, port) in [("web", 8000), ("idle", 8001), ("queue", 8002)] {
            self.server.tell(&format!("listen {name} {a}:{port}"))?;
        }
        self.connect("working", 7, &b)?;
        // The server keeps what the client closes, wholly or half.
        self.connect("closed", 5, &b)?;
        self.client.tell("close closed")?;
        self.server.tell("await-close closed")?;
        self.connect("half", 4, &b)?;
        self.client.tell("shutdown half")?;
        self.server.tell("await-close half")?;
        // Both close, the client first.
        self.connect("over", 6, &b)?;
        self.client.tell("close over")?;
        self.server.tell("await-close over")?;
        self.server.tell("close over")?;
        // The client resets what the server keeps.
        self.connect("dead", 2, &b)?;
        self.client.tell("reset dead")?;
        self.client.tell(&format!("connect waiting {a}:8002 3"))?;
        self.gather_deaf()?;
        // Never connected, so of no state that is counted.
        self.server.tell("open fresh 2")
    }

    /// States of a close or a handshake whose packets get lost.
    fn gather_deaf(&mut self) -> Result<()> {
        let a = self.pair.a.v4;
        for (group, count) in [("last", 2), ("first", 1), ("both", 3)] {
            self.connect(group, count, DEAF)?;
        }
        self.client.tell("close last")?;
        self.server.tell("await-close last")?;
        let acknowledged = Self::client_counts().get("FIN_WAIT2").copied();
        until("the acknowledgement of each FIN", || {
            let seen = by_ss(&self.pair.b)?.get("FIN_WAIT2").copied();
            Ok((seen == acknowledged).then_some(()))
        })?;
        self.lose()?;
        self.server.tell("close last")?;
        self.server.tell("close first")?;
        self.server.tell("close both")?;
        self.client.tell("close both")?;
        self.client.tell(&format!("dial half-open {a}:8001 2 from {DEAF}"))?;
        self.client.tell(&format!("dial blackhole {NOBODY}:80 4 from {}", self.pair.b.v4))
    }

    /// What `ss` must see in the server's namespace.
    fn server_counts() -> Counts {
        counts(&[
            ("LISTEN", 3),
            // At work, and waiting for accept().
            ("ESTABLISHED", 7 + 3),
            ("CLOSE_WAIT", 5 + 4),
            ("SYN_RECV", 2),
            ("LAST_ACK", 2),
            ("FIN_WAIT1", 1),
            ("CLOSING", 3),
        ])
    }

    /// What `ss` must see in the client's namespace.
    fn client_counts() -> Counts {
        counts(&[
            // At work, waiting for accept(), and one that does not hear of the server's close.
            ("ESTABLISHED", 7 + 3 + 1),
            // Mini-sockets of the closed, full sockets of the half-closed, and those whose peer's
            // last FIN gets lost.
            ("FIN_WAIT2", 5 + 4 + 2),
            ("TIME_WAIT", 6),
            ("FIN_WAIT1", 3),
            ("SYN_SENT", 2 + 4),
        ])
    }

    /// Waits until `ss` sees what must be there.
    fn settle(&self) -> Result<()> {
        let wanted = [(&self.pair.a, Self::server_counts()), (&self.pair.b, Self::client_counts())];
        for (ns, wanted) in wanted {
            let mut seen = Counts::new();
            until("every socket in its state", || {
                seen = by_ss(ns)?;
                Ok((seen == wanted).then_some(()))
            })
            .with_context(|| format!("{}: {seen:?}, wanted {wanted:?}", ns.name()))?;
        }
        Ok(())
    }
}

#[test]
fn every_state_is_counted_as_ss_does() -> Result<()> {
    let mut crowd = Crowd::new()?;
    crowd.gather()?;
    crowd.settle()?;
    // `ss` cannot see these.
    let mut server = Crowd::server_counts();
    server.insert("CLOSE".to_owned(), 2);
    let Crowd { pair, .. } = &crowd;
    ensure!(in_namespace(&pair.a, &[])? == server, "{:?}", in_namespace(&pair.a, &[])?);
    let client = Crowd::client_counts();
    ensure!(in_namespace(&pair.b, &[])? == client, "{:?}", in_namespace(&pair.b, &[])?);
    // A count of the whole host knows both apart.
    let host = states(&["--by", "netns"])?;
    for (ns, wanted) in [(&pair.a, &server), (&pair.b, &client)] {
        let got = of_key(&host, &json!({ "netns": ns.inode()? }))?;
        ensure!(got == *wanted, "{got:?}, wanted {wanted:?}");
    }
    let sum: u64 = host.objects()?.iter().filter_map(|object| object["count"].as_u64()).sum();
    ensure!(host.summary()?["sockets"] == sum, "{:?}", host.summary()?);
    // States are chosen in every spelling, and what was not chosen is not counted.
    for spelling in ["close-wait,dead", "CLOSE_WAIT,CLOSE"] {
        let got = in_namespace(&pair.a, &["-s", spelling])?;
        ensure!(got == counts(&[("CLOSE_WAIT", 9), ("CLOSE", 2)]), "{spelling}: {got:?}");
    }
    let got = in_namespace(&pair.b, &["-s", "fin-wait-2"])?;
    ensure!(got == counts(&[("FIN_WAIT2", 11)]), "{got:?}");
    by_place(&crowd)?;
    by_process(&crowd)
}

/// Keys of places, and filters on them.
fn by_place(crowd: &Crowd) -> Result<()> {
    let (a, b) = (&crowd.pair.a, &crowd.pair.b);
    let place = a.path().display().to_string();
    let ports = states(&["--netns", &place, "--by", "local-port"])?;
    let queue = of_key(&ports, &json!({ "local_port": 8002 }))?;
    ensure!(queue == counts(&[("LISTEN", 1), ("ESTABLISHED", 3)]), "{queue:?}");
    let idle = of_key(&ports, &json!({ "local_port": 8001 }))?;
    ensure!(idle == counts(&[("LISTEN", 1), ("SYN_RECV", 2)]), "{idle:?}");
    ensure!(in_namespace(a, &["-L", "8001-8002"])?.values().sum::<u64>() == 7);
    let remotes = states(&["--netns", &place, "--by", "remote"])?;
    let deaf = of_key(&remotes, &json!({ "remote_addr": DEAF }))?;
    let wanted = [("SYN_RECV", 2), ("LAST_ACK", 2), ("FIN_WAIT1", 1), ("CLOSING", 3)];
    ensure!(deaf == counts(&wanted), "{deaf:?}");
    ensure!(in_namespace(a, &["--remote", DEAF])? == counts(&wanted));
    let listeners = of_key(&remotes, &json!({ "remote_addr": null }))?;
    ensure!(listeners == counts(&[("LISTEN", 3)]), "{listeners:?}");
    ensure!(in_namespace(a, &["--remote", "0.0.0.0/0", "-s", "listen"])?.is_empty());
    let got = in_namespace(b, &["-D", "80"])?;
    ensure!(got == counts(&[("SYN_SENT", 4)]), "{got:?}");
    ensure!(in_namespace(b, &["--local", DEAF])?.values().sum::<u64>() == 8);
    ensure!(in_namespace(b, &["-6"])?.is_empty());
    ensure!(in_namespace(b, &["-4"])? == Crowd::client_counts());
    Ok(())
}

/// Processes, and what none of them holds.
fn by_process(crowd: &Crowd) -> Result<()> {
    let (server, client) = (crowd.server.pid(), crowd.client.pid());
    let place = crowd.pair.b.path().display().to_string();
    let finished = states(&["--netns", &place, "--by", "process"])?;
    let of = |finished: &Finished, pid: u32| -> Result<Counts> {
        let objects = finished.objects()?;
        let mine = objects.iter().find(|object| object["key"]["pid"] == pid);
        mine.map_or(Ok(Counts::new()), |mine| of_key(finished, &mine["key"]))
    };
    let held = of(&finished, client)?;
    let wanted = counts(&[("ESTABLISHED", 11), ("FIN_WAIT2", 4), ("SYN_SENT", 6)]);
    ensure!(held == wanted, "{held:?}");
    let nobody = json!({ "pid": null, "comm": null, "start_time_ns": null });
    let orphans = of_key(&finished, &nobody)?;
    let wanted = counts(&[("FIN_WAIT2", 7), ("TIME_WAIT", 6), ("FIN_WAIT1", 3)]);
    ensure!(orphans == wanted, "{orphans:?}");
    // Filters on processes are about holders, wherever the sockets are.
    let mine = states(&["-p", &server.to_string()])?;
    let wanted = [("LISTEN", 3), ("ESTABLISHED", 7), ("CLOSE_WAIT", 9), ("CLOSE", 2)];
    let got = of_key(&mine, &json!({}))?;
    ensure!(got == counts(&wanted), "{got:?}");
    let named = states(&["-c", "pupp*", "-p", &server.to_string(), "--by", "process"])?;
    ensure!(of(&named, server)? == got && of(&named, client)?.is_empty());
    ensure!(named.summary()?["keys"] == 1, "{:?}", named.summary()?);
    let there = states(&["--cgroup", "/*", "-p", &server.to_string()])?;
    ensure!(of_key(&there, &json!({}))? == got);
    let elsewhere = states(&["--cgroup", "/no/such/*", "-p", &server.to_string()])?;
    ensure!(of_key(&elsewhere, &json!({}))?.is_empty());
    Ok(())
}

/// A socket of two processes counts for both, and once in the total.
#[test]
fn a_shared_socket_counts_once_in_the_total() -> Result<()> {
    let pair = NetPair::new()?;
    let mut server = Actor::spawn(&pair.a)?;
    server.tell(&format!("listen web {}:8000", pair.a.v4))?;
    server.tell("fork heir")?;
    let child = server.child()?;
    let place = pair.a.path().display().to_string();
    let finished = states(&["--netns", &place, "--by", "process"])?;
    let objects = finished.objects()?;
    let counted: Vec<u64> = objects.iter().filter_map(|o| o["key"]["pid"].as_u64()).collect();
    let wanted = [u64::from(server.pid()), u64::from(child)];
    ensure!(counted.len() == 2 && wanted.iter().all(|pid| counted.contains(pid)), "{objects:?}");
    let summary = finished.summary()?;
    ensure!((&summary["sockets"], &summary["shared"]) == (&1.into(), &1.into()), "{summary}");
    let finished = states(&["--netns", &place, "--by", "process", "-p", &child.to_string()])?;
    ensure!(finished.summary()?["keys"] == 1, "{:?}", finished.objects()?);
    Ok(())
}

#[test]
fn ipv6_and_mapped_addresses() -> Result<()> {
    let pair = NetPair::new()?;
    let mut server = Actor::spawn(&pair.a)?;
    let mut client = Actor::spawn(&pair.b)?;
    server.tell("listen web [::]:8000")?;
    for (address, count) in [(format!("[{}]", pair.a.v6), 3), (pair.a.v4.to_string(), 2)] {
        server.begin(&format!("accept all web {count}"))?;
        client.tell(&format!("connect all {address}:8000 {count}"))?;
        server.wait()?;
    }
    let six = in_namespace(&pair.a, &["-6"])?;
    ensure!(six == counts(&[("LISTEN", 1), ("ESTABLISHED", 3)]), "{six:?}");
    let four = in_namespace(&pair.a, &["-4"])?;
    ensure!(four == counts(&[("ESTABLISHED", 2)]), "{four:?}");
    let place = pair.a.path().display().to_string();
    let remotes = states(&["--netns", &place, "--by", "remote"])?;
    for (remote, count) in [(pair.b.v6.to_string(), 3), (pair.b.v4.to_string(), 2)] {
        let got = of_key(&remotes, &json!({ "remote_addr": remote }))?;
        ensure!(got == counts(&[("ESTABLISHED", count)]), "{remote}: {got:?}");
    }
    Ok(())
}

/// The namespace lives by a socket in flight; no process and no mount leads to it.
#[test]
fn a_namespace_that_nothing_leads_to() -> Result<()> {
    for options in [&[][..], &["--stream", "true"]] {
        let pair = NetPair::new()?;
        let scenario = Scenario::spawn(&pair.a, &[&["hidden-namespace"], options].concat())?;
        scenario.fact("leaking")?;
        let netns: u64 = scenario.parsed("netns")?;
        let finished = states(&["--by", "netns"])?;
        let got = of_key(&finished, &json!({ "netns": netns }))?;
        ensure!(got.get("CLOSE_WAIT") == Some(&1), "{got:?} {:?}", finished.summary()?);
        let streams = if options.is_empty() { None } else { Some(&2) };
        ensure!(got.get("ESTABLISHED") == streams, "{got:?}");
        ensure!(finished.summary()?["namespaces_unread"] == 0, "{:?}", finished.summary()?);
    }
    Ok(())
}

/// Without the right to enter other namespaces their sockets are counted as far as processes hold
/// them, and the answer says so.
#[test]
fn with_bpf_and_perfmon_alone() -> Result<()> {
    let mut crowd = Crowd::new()?;
    crowd.gather()?;
    crowd.settle()?;
    let place = crowd.pair.a.inode()?.to_string();
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all,+bpf,+perfmon", "--inh-caps=-all", "--"]);
    command.arg(tool::executable()?).args(["states", "-o", "json", "--netns", &place]);
    let finished = tool::run(command)?.expect_code(0)?;
    let summary = finished.summary()?;
    let degradations = summary["degradations"].to_string();
    for token in ["own-namespace-only", "namespace-unreadable"] {
        ensure!(degradations.contains(token), "{summary}");
    }
    ensure!(summary["namespaces_unread"] == 1, "{summary}");
    let wanted = [("LISTEN", 3), ("ESTABLISHED", 7), ("CLOSE_WAIT", 9), ("CLOSE", 2)];
    let got = of_key(&finished, &json!({}))?;
    ensure!(got == counts(&wanted), "{got:?}");
    Ok(())
}

#[test]
fn without_root() -> Result<()> {
    let copy = tool::Copy::new()?;
    let mut command = Command::new("setpriv");
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--"];
    command.args(nobody).arg(copy.path()).arg("states");
    let finished = tool::run(command)?.expect_code(2)?;
    ensure!(finished.stdout.is_empty(), "it printed something");
    ensure!(finished.stderr.trim_end().lines().count() == 1, "{}", finished.stderr);
    ensure!(finished.stderr.contains("root"), "{}", finished.stderr);
    Ok(())
}

/// `tcptrace states | head -0`: the reader is gone before the first byte.
#[test]
fn a_closed_pipe_is_success() -> Result<()> {
    for options in [&["-o", "json"][..], &["-o", "table"], &["--watch", "--interval", "50ms"]] {
        let (reader, writer) = pipe()?;
        drop(reader);
        let mut child = tool::command(&[&["states"], options].concat())?.stdout(writer).spawn()?;
        let status = until("its end", || Ok(child.try_wait()?));
        let _ = child.kill();
        let _ = child.wait();
        let status = status?;
        ensure!(status.code() == Some(0), "{options:?}: {status}");
    }
    Ok(())
}

#[test]
fn watching_ends_by_duration_and_by_ctrl_c() -> Result<()> {
    let pair = NetPair::new()?;
    let mut server = Actor::spawn(&pair.a)?;
    let place = pair.a.path().display().to_string();
    let fixed = ["states", "-o", "json", "--netns", &place, "--watch"];
    let timed = [&fixed[..], &["--interval", "100ms", "--duration", "1s"]].concat();
    let finished = tool::run(tool::command(&timed)?)?.expect_code(0)?;
    let summaries = finished.objects()?.iter().filter(|o| o["type"] == "summary").count();
    ensure!((3..=13).contains(&summaries), "{summaries} counts in a second");
    // No interval would come before the end of the test: Ctrl-C gives a last count.
    let slow = [&fixed[..], &["--interval", "1h"]].concat();
    let mut running = tool::Running::start(tool::command(&slow)?)?;
    until("the first count", || Ok((!running.objects_so_far()?.is_empty()).then_some(())))?;
    server.tell(&format!("listen web {}:8000", pair.a.v4))?;
    let finished = running.interrupt()?.expect_code(0)?;
    let last = finished.summary()?;
    ensure!(last["sockets"] == 1, "{last}");
    Ok(())
}

/// The default tables fit in 100 columns, say what they leave out, and end in the total.
#[test]
fn tables() -> Result<()> {
    let mut crowd = Crowd::new()?;
    crowd.gather()?;
    for by in ["state", "remote", "local-port", "process", "netns"] {
        let mut command = tool::command(&["states", "--color", "never", "--top", "2", "--by", by])?;
        command.args(["--netns", &crowd.pair.b.path().display().to_string()]);
        let finished = tool::run(command)?.expect_code(0)?;
        let lines: Vec<String> = finished.stdout.iter().map(|line| line.text()).collect();
        for line in &lines {
            ensure!(line.chars().count() <= 100, "{by}: {line}");
        }
        ensure!(lines.iter().any(|line| line.starts_with("TOTAL")), "{by}: {lines:?}");
        let says_more = lines.iter().any(|line| line.starts_with("and "));
        ensure!(says_more == (by == "local-port"), "{by}: {lines:?}");
    }
    Ok(())
}

#[test]
fn usage_errors() -> Result<()> {
    for (options, word) in [
        (&["-s", "banana"][..], "banana"),
        (&["--duration", "1s"], "--watch"),
        (&["--top", "0"], "--top"),
        (&["-p", "4194399"], "4194399"),
        (&["--netns", "/run/netns/no-such"], "/run/netns/no-such"),
    ] {
        let finished = tool::run(tool::command(&[&["states"], options].concat())?)?;
        let finished = finished.expect_code(2)?;
        ensure!(finished.stderr.trim_end().lines().count() == 1, "{}", finished.stderr);
        ensure!(finished.stderr.contains(word), "{options:?}: {}", finished.stderr);
    }
    Ok(())
}

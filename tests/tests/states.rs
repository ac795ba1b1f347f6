//! `tcptrace states` against what was staged, and against `ss`.

use std::io::pipe;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tcptrace_tests::actor::Actor;
use tcptrace_tests::crowd::{Counts, Crowd, DEAF, counts};
use tcptrace_tests::netns::{NetPair, Netns};
use tcptrace_tests::scenario::Scenario;
use tcptrace_tests::schema;
use tcptrace_tests::tool::{self, Finished};
use tcptrace_tests::wait::until;

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

#[test]
fn every_state_is_counted_as_ss_does() -> Result<()> {
    let crowd = settled()?;
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
    Ok(())
}

/// A crowd that is in all states, for less than a minute: then those in FIN_WAIT2 and TIME_WAIT go.
fn settled() -> Result<Crowd> {
    let mut crowd = Crowd::new()?;
    crowd.gather()?;
    crowd.settle()?;
    Ok(crowd)
}

/// Keys of places, and filters on them.
#[test]
fn places_are_counted_and_filtered() -> Result<()> {
    let crowd = settled()?;
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
#[test]
fn processes_are_counted_and_filtered() -> Result<()> {
    let crowd = settled()?;
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
    let named = states(&["-c", "act*", "-p", &server.to_string(), "--by", "process"])?;
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

/// The namespace lives by a socket in flight; no process and no mount leads to it, sockets that a process
/// elsewhere holds do.
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
    let crowd = settled()?;
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

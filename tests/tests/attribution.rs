//! Who is named: threads, filters by process, hostile neighbours, and nobody without reason.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tcptrace_tests::case::Expect;
use tcptrace_tests::cases;
use tcptrace_tests::clock::monotonic_ns;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::situation::{Situation, Staged};
use tcptrace_tests::tool::{Running, leaks_once};
use tcptrace_tests::wait::until;

cases! {
    /// The thread's tid, and the process's name.
    thread_accept: Situation::THREAD_ACCEPT => Expect {
        before: "eof-read-not-closed",
        witness: true,
        ..Expect::close_wait("fin-consumed-not-closed")
    };
}

fn old_enough(staged: &Staged) -> Result<()> {
    staged.wait_close_wait(|socket| socket.last_ack_ms >= 1000)?;
    Ok(())
}

fn peers(leaks: &[Value]) -> Vec<u64> {
    let mut ports: Vec<_> = leaks.iter().filter_map(|leak| leak["remote_port"].as_u64()).collect();
    ports.sort_unstable();
    ports
}

/// Two namespaces with the same addresses: each is told apart by its inode.
#[test]
fn namespaces_with_the_same_addresses() -> Result<()> {
    let (one, other) = (NetPair::new()?, NetPair::new()?);
    let (first, second) =
        (Situation::NEVER_READ.stage(&one)?, Situation::NEVER_READ.stage(&other)?);
    for (pair, staged) in [(&one, &first), (&other, &second)] {
        old_enough(staged)?;
        let place = pair.a.path().display().to_string();
        let leaks = leaks_once(&["--min-age", "1s", "--netns", &place])?.leaks()?;
        ensure!(leaks.len() == 1, "{leaks:?}");
        ensure!(leaks[0]["netns"] == pair.a.inode()?, "{leaks:?}");
        ensure!(leaks[0]["holders"][0]["pid"] == staged.server.pid(), "{leaks:?}");
    }
    let inode = one.a.inode()?.to_string();
    let leaks = leaks_once(&["--min-age", "1s", "--netns", &inode])?.leaks()?;
    ensure!(peers(&leaks) == [u64::from(first.socket()?.1.port())], "{leaks:?}");
    Ok(())
}

/// `-p` takes a holder, `-L` a port of this side, `-c` a name; each leaves out the other server.
#[test]
fn filters_leave_out_the_neighbour() -> Result<()> {
    let pair = NetPair::new()?;
    let wanted = Situation::NEVER_READ.stage(&pair)?;
    let other = Situation::READ_EOF_KEEP.stage(&pair)?;
    old_enough(&wanted)?;
    old_enough(&other)?;
    let place = pair.a.path().display().to_string();
    let (local, peer) = wanted.socket()?;
    let (pid, port) = (wanted.server.pid().to_string(), local.port().to_string());
    let remote = peer.port().to_string();
    for filter in [["-p", &pid], ["-L", &port], ["-c", "never-*"], ["-D", &remote]] {
        let fixed = ["--min-age", "1s", "--netns", place.as_str()];
        let leaks = leaks_once(&[&fixed[..], &filter].concat())?.leaks()?;
        ensure!(peers(&leaks) == [u64::from(peer.port())], "{filter:?}: {leaks:?}");
    }
    Ok(())
}

/// `-p` of an opener that no longer holds the socket still finds it.
#[test]
fn filter_by_opener() -> Result<()> {
    let pair = NetPair::new()?;
    // The opener must be there when the tool starts, and open while it runs.
    let server = Situation::CHILD_INHERITS.listen(&pair)?;
    let mut running = Running::leaks(&["-p", &server.pid().to_string()])?;
    let mut staged = Situation::CHILD_INHERITS.join(&pair, server)?;
    staged.finish()?;
    let peer = staged.socket()?.1.port();
    let netns = pair.a.inode()?;
    let leak = running.wait_leak("the opener's socket", |leak| {
        (leak["remote_port"] == peer && leak["netns"] == netns).then(|| leak.clone())
    })?;
    ensure!(staged.holders()?[0].0 != staged.server.pid());
    ensure!(leak["opener"]["pid"] == staged.server.pid(), "{leak}");
    ensure!(leak["holders"][0]["pid"] == staged.holders()?[0].0, "{leak}");
    Ok(())
}

/// Nothing wrong, nothing reported, before or after, and the exit status says so.
#[test]
fn healthy_servers_are_left_alone() -> Result<()> {
    let pair = NetPair::new()?;
    let place = pair.a.path().display().to_string();
    let running = Running::leaks(&["--netns", &place, "--exit-code"])?;
    let staged = Situation::HEALTHY.stage(&pair)?;
    ensure!(staged.server.fact("served")? == "5");
    let finished = running.interrupt()?.expect_code(0)?;
    ensure!(finished.leaks()?.is_empty(), "{:?}", finished.leaks()?);
    ensure!(finished.summary()?["leaks"] == 0);
    for ns in pair.both() {
        let place = ns.path().display().to_string();
        let finished = leaks_once(&["--min-age", "0s", "--netns", &place, "--exit-code"])?;
        ensure!(finished.expect_code(0)?.leaks()?.is_empty());
    }
    Ok(())
}

#[test]
fn exit_code_says_that_there_are_leaks() -> Result<()> {
    let pair = NetPair::new()?;
    let staged = Situation::NEVER_READ.stage(&pair)?;
    old_enough(&staged)?;
    let place = pair.a.path().display().to_string();
    let finished = leaks_once(&["--min-age", "1s", "--netns", &place, "--exit-code"])?;
    let summary = finished.expect_code(1)?.summary()?;
    ensure!(summary["leaks"] == 1, "{summary}");
    Ok(())
}

/// A half-close on purpose is listed, and is no leak.
#[test]
fn exit_code_does_not_count_a_half_close() -> Result<()> {
    let pair = NetPair::new()?;
    let place = pair.a.path().display().to_string();
    let mut running = Running::leaks(&["--netns", &place, "--exit-code"])?;
    let _staged = Situation::HALF_CLOSE.stage(&pair)?;
    running.wait_leak("the half-close", |leak| (leak["cause"] == "half-close").then_some(()))?;
    let summary = running.interrupt()?.expect_code(0)?.summary()?;
    ensure!(summary["leaks"] == 0, "{summary}");
    Ok(())
}

/// What is closed at last is no longer reported, in the very next report.
#[test]
fn a_closed_socket_is_forgotten() -> Result<()> {
    let pair = NetPair::new()?;
    let place = pair.a.path().display().to_string();
    let mut staged = Situation::NEVER_READ.stage(&pair)?;
    old_enough(&staged)?;
    let options = ["--min-age", "1s", "--netns", &place];
    ensure!(leaks_once(&options)?.leaks()?.len() == 1);
    staged.server.tell("close")?;
    staged.server.fact("released_at")?;
    ensure!(leaks_once(&options)?.leaks()?.is_empty());
    Ok(())
}

/// Each probe is acknowledged, so nothing tells a late start when the FIN came; the leak is
/// reported with what is certain: more than nothing, less than since the last data.
#[test]
fn keepalive_does_not_hide_an_old_leak() -> Result<()> {
    let pair = NetPair::new()?;
    let staged = Situation::KEEPALIVE.stage(&pair)?;
    let (_, entered) = staged.entered()?;
    until("the leak to be old", || Ok((monotonic_ns() - entered > 3_500_000_000).then_some(())))?;
    let place = pair.a.path().display().to_string();
    let leaks = leaks_once(&["--min-age", "3s", "--netns", &place])?.leaks()?;
    ensure!(leaks.len() == 1, "{leaks:?}");
    let age = |name: &str| leaks[0][name].as_i64().context("no age");
    ensure!(leaks[0]["keepalive"] == true && leaks[0]["age_exact"] == false, "{leaks:?}");
    ensure!(age("age_ns")? < 3_000_000_000, "the scenario has no probes: {leaks:?}");
    ensure!(age("age_max_ns")? >= 3_500_000_000, "{leaks:?}");
    Ok(())
}

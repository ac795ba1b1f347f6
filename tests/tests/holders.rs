//! Sockets that somebody other than their opener holds, or no process at all.

use anyhow::{Context, Result, ensure};
use tcptrace_tests::case::{Bounds, Expect, Opener};
use tcptrace_tests::cases;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::scenario::Scenario;
use tcptrace_tests::situation::Situation;
use tcptrace_tests::tool::{Running, leaks_once};
use tcptrace_tests::wait::until;
use tcptrace_tests::{process, ss};

/// Later nobody can tell that another process opened it: the state of the socket is all there is.
const BY_OTHER: Expect = Expect { before: "held-by-other", ..Expect::close_wait("eof-not-read") };

const BY_KERNEL: Expect = Expect::close_wait("held-by-kernel");

cases! {
    child_inherits: Situation::CHILD_INHERITS => BY_OTHER;
    pass_fd: Situation::PASS_FD => BY_OTHER;
    exit_opener: Situation::EXIT_OPENER => BY_OTHER;
    /// The pid of the opener is a bystander now.
    pid_reuse: Situation::PID_REUSE => BY_OTHER;
    /// The holder has the opener's pid and is another process.
    pid_reuse_heir: Situation::PID_REUSE_HEIR => BY_OTHER;
    fd_in_flight: Situation::FD_IN_FLIGHT => BY_KERNEL;
    /// There is no descriptor to find the opener by, and a wrong one is worse than none.
    uring_fixed: Situation::URING_FIXED => Expect { opener: Opener::ToldOrNobody, ..BY_KERNEL };
    close_while_send: Situation::CLOSE_WHILE_SEND =>
        Expect { bounds: Bounds::Loose, min_age_after: "0s", ..BY_KERNEL };
    uring_accept: Situation::URING_ACCEPT => Expect::close_wait("eof-not-read");
    uring_multishot: Situation::URING_MULTISHOT => Expect::close_wait("eof-not-read");
}

/// A descriptor that was closed during a read lives until the read returns, and no longer.
#[test]
fn close_while_read_is_no_leak() -> Result<()> {
    let pair = NetPair::new()?;
    let place = pair.a.path().display().to_string();
    let running = Running::leaks(&["--netns", &place])?;
    let staged = Situation::CLOSE_WHILE_READ.stage(&pair)?;
    let (_, peer) = staged.socket()?;
    until("the socket to go", || Ok(ss::by_peer(&pair.a, peer)?.is_none().then_some(())))?;
    let finished = running.interrupt()?.expect_code(0)?;
    ensure!(finished.leaks()?.is_empty(), "{:?}", finished.leaks()?);
    let finished = leaks_once(&["--min-age", "0s", "--netns", &place])?.expect_code(0)?;
    ensure!(finished.leaks()?.is_empty(), "{:?}", finished.leaks()?);
    Ok(())
}

/// Limits and use of descriptors are those of the holder, not of the tool.
#[test]
fn descriptors_of_the_holder() -> Result<()> {
    let pair = NetPair::new()?;
    let staged = Situation::CHILD_INHERITS.stage(&pair)?;
    staged.wait_close_wait(|socket| socket.last_ack_ms >= 1000)?;
    let place = pair.a.path().display().to_string();
    let leaks = leaks_once(&["--min-age", "1s", "--netns", &place])?.leaks()?;
    let holder = &leaks.first().context("no leak")?["holders"][0];
    let (used, limit) = process::fd_use(staged.holders()?[0].0)?;
    ensure!(holder["fd_used"] == used, "{used} are open: {holder}");
    ensure!(holder["fd_limit"] == limit, "{limit} is the limit: {holder}");
    Ok(())
}

/// Finds the socket in flight of [`hidden-namespace`](Scenario), whatever leads to its namespace.
fn finds_the_hidden(options: &[&str]) -> Result<()> {
    let pair = NetPair::new()?;
    let scenario = Scenario::spawn(&pair.a, &[&["hidden-namespace"], options].concat())?;
    scenario.fact("leaking")?;
    let (netns, port) = (scenario.parsed::<u64>("netns")?, scenario.parsed::<u16>("remote_port")?);
    let finished = leaks_once(&["--min-age", "0s"])?.expect_code(0)?;
    let leaks = finished.leaks()?;
    let leak = leaks.iter().find(|leak| leak["netns"] == netns && leak["remote_port"] == port);
    let leak = leak.with_context(|| format!("not seen: {:?}", finished.summary()))?;
    ensure!(leak["cause"] == "held-by-kernel", "{leak}");
    Ok(())
}

/// The namespace lives by a socket that no process holds; what leads there is a socket that is not TCP's.
#[test]
fn a_namespace_that_nothing_leads_to() -> Result<()> {
    finds_the_hidden(&[])
}

/// Only healthy sockets of a process that is elsewhere lead to the namespace.
#[test]
fn a_namespace_that_healthy_sockets_lead_to() -> Result<()> {
    finds_the_hidden(&["--stream", "true"])
}

/// "No leaks" of a namespace that is not there would be no answer.
#[test]
fn a_namespace_that_is_not_there_is_told() -> Result<()> {
    let finished = leaks_once(&["--netns", "1"])?.expect_code(0)?;
    let lacks = finished.summary()?["degradations"].clone();
    ensure!(
        lacks.as_array().is_some_and(|all| all.contains(&"namespace-not-found".into())),
        "{lacks}"
    );
    ensure!(
        finished.stderr.contains("nothing is seen of network namespace 1"),
        "{}",
        finished.stderr
    );

    let pair = NetPair::new()?;
    let place = pair.a.path().display().to_string();
    let lacks =
        leaks_once(&["--netns", &place])?.expect_code(0)?.summary()?["degradations"].clone();
    ensure!(lacks == serde_json::json!([]), "{lacks}");
    Ok(())
}

/// Descriptors that move all the time do not make their process disappear.
#[test]
fn moving_descriptors_are_still_held() -> Result<()> {
    let pair = NetPair::new()?;
    let scenario = Scenario::spawn(&pair.a, &["juggle"])?;
    let sockets: usize = scenario.parsed("sockets")?;
    let place = pair.a.path().display().to_string();
    for _ in 0..5 {
        let leaks = leaks_once(&["--min-age", "0s", "--netns", &place])?.leaks()?;
        ensure!(leaks.len() == sockets, "{} of {sockets} are there", leaks.len());
        let wrong: Vec<_> = leaks.iter().filter(|leak| leak["cause"] == "held-by-kernel").collect();
        ensure!(wrong.is_empty(), "{} of {sockets} are held by a process: {wrong:?}", wrong.len());
    }
    Ok(())
}

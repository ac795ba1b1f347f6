//! Sockets that wait in a listener's queue. No process has them; the listener's holder is to
//! blame.

use anyhow::{Result, ensure};
use tcptrace_tests::case::{Expect, Opener};
use tcptrace_tests::cases;
use tcptrace_tests::netns::{NetPair, Netns};
use tcptrace_tests::scenario::Scenario;
use tcptrace_tests::situation::{Family, Situation};
use tcptrace_tests::ss;
use tcptrace_tests::tool::leaks_once;
use tcptrace_tests::wait::until;

const QUEUED: Expect =
    Expect { opener: Opener::Nobody, unread: Some(5), ..Expect::close_wait("never-accepted") };

cases! {
    never_accept: Situation::NEVER_ACCEPT => QUEUED;
    never_accept_mapped: Situation::NEVER_ACCEPT.over(Family::Mapped) => QUEUED;
    stop_accepting: Situation::STOP_ACCEPTING => QUEUED;
}

/// A listener on the one port that both servers of the test below share.
fn listener(ns: &Netns, name: &str, options: &[&str]) -> Result<Scenario> {
    let address = ns.v4.to_string();
    let shared = [name, "--addr", &address, "--port", "7300", "--reuseport", "true"];
    let server = Scenario::spawn(ns, &[&shared[..], options].concat())?;
    server.fact("ready")?;
    Ok(server)
}

/// Two processes share a port (`SO_REUSEPORT`), one of them never accepts. The addresses do not
/// tell whose queue a connection waits in; only the queues do.
#[test]
fn the_innocent_neighbour_on_the_same_port() -> Result<()> {
    const CONNECTIONS: usize = 24;
    let pair = NetPair::new()?;
    let stuck = listener(&pair.a, "never-accept", &["--backlog", "64"])?;
    let healthy = listener(&pair.a, "healthy", &["--count", "1000"])?;
    let to = format!("{}:7300", pair.a.v4);
    let count = CONNECTIONS.to_string();
    let connect = ["connect", "--count", &count, "--send", "5", "--connect", &to];
    let mut client = Scenario::spawn(&pair.b, &connect)?;
    client.fact("ready")?;
    client.tell("finish")?;
    client.fact("closed_at")?;
    // The healthy one is done with its share when all that is left is old.
    let waiting = until("the leaks alone to be left", || {
        let left = ss::close_wait(&pair.a)?;
        let is_old = !left.is_empty() && left.values().all(|socket| socket.last_ack_ms >= 1000);
        Ok(is_old.then_some(left.len()))
    })?;
    ensure!((1..CONNECTIONS).contains(&waiting), "{waiting} of {CONNECTIONS} wait: no test");
    let place = pair.a.path().display().to_string();
    let leaks = leaks_once(&["--min-age", "1s", "--netns", &place])?.leaks()?;
    ensure!(leaks.len() == waiting, "{} leaks, {waiting} wait", leaks.len());
    for leak in &leaks {
        let holders = &leak["listener"]["holders"];
        ensure!(leak["cause"] == "never-accepted", "{leak}");
        ensure!(holders.as_array().is_some_and(|all| all.len() == 1), "{leak}");
        ensure!(holders[0]["pid"] == stuck.pid(), "not {}: {leak}", healthy.pid());
    }
    Ok(())
}

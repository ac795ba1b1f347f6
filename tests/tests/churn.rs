//! Hundreds of leaks among tens of thousands of short connections: every one of them is
//! reported, and nothing else, however small the ring buffer is. `ss` is the judge.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tcptrace_tests::churn::{CONNECTIONS, Churn, LEAKS};
use tcptrace_tests::netns::{NetPair, Netns};
use tcptrace_tests::ss;
use tcptrace_tests::tool::{Running, command, is_leak, leaks_once};
use tcptrace_tests::view::cookie;
use tcptrace_tests::wait::until;

/// Namespace and cookie: a socket, whatever its addresses.
type Key = (u64, u64);

fn key(leak: &Value) -> Result<Key> {
    Ok((leak["netns"].as_u64().context("no netns")?, cookie(leak)?))
}

fn truth(namespaces: &[&Netns]) -> Result<BTreeSet<Key>> {
    let mut keys = BTreeSet::new();
    for ns in namespaces {
        let inode = ns.inode()?;
        keys.extend(ss::close_wait(ns)?.into_keys().map(|cookie| (inode, cookie)));
    }
    Ok(keys)
}

/// The leaks among objects, in these namespaces; the rest of the host is other tests' business.
fn reported(objects: &[Value], namespaces: &[&Netns]) -> Result<Vec<Key>> {
    let inodes: Result<Vec<u64>> = namespaces.iter().map(|ns| ns.inode()).collect();
    let inodes = inodes?;
    let keys: Result<Vec<Key>> = objects.iter().filter(|object| is_leak(object)).map(key).collect();
    Ok(keys?.into_iter().filter(|(netns, _)| inodes.contains(netns)).collect())
}

/// Waits until `ss` says of all leaked sockets that they are old enough.
fn wait_old(namespaces: &[&Netns]) -> Result<()> {
    until("the leaks to be old enough", || {
        for ns in namespaces {
            if ss::close_wait(ns)?.values().any(|socket| socket.last_ack_ms < 1000) {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
}

/// Runs the tool from the start, and once more in the middle and at the end.
/// `judge` looks at the last report too.
fn churn(
    options: &[&str],
    judge: impl Fn(&[Value], &[Churn], &[&Netns]) -> Result<()>,
) -> Result<()> {
    let pairs = [NetPair::new()?, NetPair::new()?];
    let namespaces: Vec<&Netns> = pairs.iter().flat_map(NetPair::both).collect();
    let mut churns = [Churn::prepare(&pairs[0])?, Churn::prepare(&pairs[1])?];
    let running = Running::leaks(options)?;
    churns.iter_mut().try_for_each(Churn::start)?;
    let in_the_middle = leaks_once(&[&["--min-age", "1s"], options].concat())?.leaks()?;
    let mut total = 0;
    for churn in &churns {
        total += churn.leaked()?;
    }
    wait_old(&namespaces)?;
    ensure!(total == 2 * LEAKS, "{total}");
    // A dump is no snapshot: beside sockets that come and go it can leave one out.
    let truth = until("ss to list every leak", || {
        let truth = truth(&namespaces)?;
        Ok((truth.len() >= total).then_some(truth))
    })?;
    ensure!(truth.len() == total, "{} {total}", truth.len());

    // Leaks stay for good here, so any report at any time must be among the final ones.
    ghosts(&in_the_middle, &namespaces, &truth)?;
    let last = running_result(running, &namespaces, &truth)?;
    ghosts(&last, &namespaces, &truth)?;
    judge(&last, &churns, &namespaces)?;

    let after = leaks_once(&[&["--min-age", "1s"], options].concat())?.leaks()?;
    let keys = reported(&after, &namespaces)?;
    let unique: BTreeSet<_> = keys.iter().copied().collect();
    ensure!(keys.len() == unique.len(), "{} twice", keys.len() - unique.len());
    let missed = truth.difference(&unique).count();
    ensure!(unique == truth, "once: {missed} missed of {}", truth.len());
    Ok(())
}

/// Waits until the running tool has reported every leak, then ends it.
fn running_result(
    mut running: Running,
    namespaces: &[&Netns],
    truth: &BTreeSet<Key>,
) -> Result<Vec<Value>> {
    let all_there = until("every leak reported", || {
        let keys = reported(running.objects_so_far()?, namespaces)?;
        let seen: BTreeSet<_> = keys.into_iter().collect();
        Ok(truth.is_subset(&seen).then_some(()))
    });
    let finished = running.interrupt()?.expect_code(0)?;
    eprintln!("summary: {}", finished.summary()?);
    all_there?;
    finished.leaks()
}

fn ghosts(leaks: &[Value], namespaces: &[&Netns], truth: &BTreeSet<Key>) -> Result<()> {
    let keys: BTreeSet<_> = reported(leaks, namespaces)?.into_iter().collect();
    let ghosts: Vec<_> = keys.difference(truth).collect();
    ensure!(ghosts.is_empty(), "{} ghosts: {ghosts:?}", ghosts.len());
    Ok(())
}

/// A lost record may cost freshness and never the opener, which the kernel side remembers.
fn openers(leaks: &[Value], churns: &[Churn], namespaces: &[&Netns]) -> Result<()> {
    for (churn, ns) in churns.iter().zip(namespaces.iter().step_by(2)) {
        let inode = ns.inode()?;
        let workers = churn.server.facts("worker_tid");
        for leak in leaks.iter().filter(|leak| leak["netns"] == inode) {
            let opener = &leak["opener"];
            ensure!(opener["pid"] == churn.server.pid(), "{leak}");
            let tid = opener["tid"].as_u64().context("no tid")?.to_string();
            ensure!(workers.contains(&tid), "tid {tid} is not of {workers:?}");
            ensure!(leak["age_exact"] == true, "the entry was traced: {leak}");
        }
    }
    Ok(())
}

#[test]
fn no_ghost_and_no_miss() -> Result<()> {
    churn(&[], openers)
}

#[test]
fn no_ghost_and_no_miss_with_a_ring_of_one_page() -> Result<()> {
    churn(&["--ring-size", "4096"], openers)
}

/// Most sockets find no room in the memory: what it would tell is unknown, and the rest is right.
#[test]
fn no_ghost_and_no_miss_with_room_for_few_sockets() -> Result<()> {
    churn(&["--max-sockets", "16"], |leaks, _, _| {
        let known = leaks.iter().filter(|leak| leak["opener"].is_object()).map(key);
        let known = known.collect::<Result<BTreeSet<Key>>>()?.len();
        ensure!(known < 2 * LEAKS, "there was room for all");
        // The server reads to the end: where that is not known, nothing is remembered.
        for leak in leaks.iter().filter(|leak| leak["eof"].is_null()) {
            ensure!(leak["age_exact"] == false, "nobody knows when: {leak}");
            ensure!(leak["opener"].is_null(), "nobody knows who: {leak}");
            ensure!(leak["holders"][0]["comm"] == "churn-server", "{leak}");
        }
        Ok(())
    })
}

/// A stopped reader and a ring of one page: what does not fit is counted, one by one, and the
/// report afterwards is right all the same.
#[test]
fn an_overflow_is_counted_and_costs_no_truth() -> Result<()> {
    let pair = NetPair::new()?;
    let mut churn = Churn::prepare(&pair)?;
    let options = ["-o", "json", "--min-age", "0s", "--interval", "1h", "--ring-size", "4096"];
    let running = Running::start(command(&[&["leaks"], &options[..]].concat())?)?;
    running.wait_tracing()?;
    running.signal(Signal::SIGSTOP)?;
    churn.start()?;
    churn.leaked()?;
    let truth = truth(&[&pair.a])?;
    running.signal(Signal::SIGCONT)?;

    let finished = running.interrupt()?.expect_code(0)?;
    let summary = finished.summary()?;
    let count = |value: &Value| value.as_u64().context("no number");
    let (lost, seen) = (count(&summary["lost"]["ring_full"])?, count(&summary["closed_late"])?);
    let ended = CONNECTIONS - LEAKS as u64;
    ensure!(lost > 0, "nothing was lost: {summary}");
    ensure!(lost + seen >= ended, "{lost} lost and {seen} seen of {ended}");
    let keys: BTreeSet<_> = reported(&finished.leaks()?, &[&pair.a])?.into_iter().collect();
    ensure!(keys == truth, "{} reported, {} there", keys.len(), truth.len());
    openers(&finished.leaks()?, &[churn], &[&pair.a])
}

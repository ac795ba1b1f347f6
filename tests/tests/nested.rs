//! Interrupts in the midst of the kernel side: a transition that a softirq makes while the program for
//! transitions is at work on its CPU passes it by, because the kernel does not run that program in
//! itself. The first ones are counted, cost no leak, and no dwell is made up for them; from then on a
//! second program sees them.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tcptrace_common::counter::Counter;
use tcptrace_tests::bpf::{counted, skipped};
use tcptrace_tests::churn::{CONNECTIONS, Churn, LEAKS};
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::stream::Stream;
use tcptrace_tests::tool::{Running, command};
use tcptrace_tests::view::cookie;
use tcptrace_tests::wait::until;
use tcptrace_tests::{skip, ss};

/// By then the second program is attached: the tool looks once a second whether it is needed.
const ATTACHED: Duration = Duration::from_millis(1500);
/// Where so many were missed in a round, the next one has some too.
const MANY: u64 = 50;
/// Rounds of connections until something was missed.
const ROUNDS: usize = 5;

fn missed(summary: &Value) -> Result<u64> {
    summary["lost"]["recursion"].as_u64().context("no count")
}

/// `None`: this kernel cannot do it.
fn pair() -> Result<Option<NetPair>> {
    let pair = NetPair::new()?;
    if pair.interrupt()? {
        return Ok(Some(pair));
    }
    skip::because("this kernel has no RPS")?;
    Ok(None)
}

/// Runs a round, and says whether something was missed.
fn until_missed(mut round: impl FnMut(&NetPair) -> Result<u64>) -> Result<()> {
    let mut all = 0;
    for _ in 0..ROUNDS {
        let Some(pair) = pair()? else { return Ok(()) };
        all += round(&pair)?;
        if all > 0 {
            return Ok(());
        }
    }
    ensure!(all > 0, "nothing was missed in {ROUNDS} rounds: these tests show nothing");
    Ok(())
}

/// Each close is told to user space, which makes for more interrupts.
#[test]
fn leaks_are_right_where_transitions_are_missed() -> Result<()> {
    until_missed(|pair| {
        let mut churn = Churn::prepare(pair)?;
        let options = ["leaks", "-o", "json", "--min-age", "0s", "--interval", "1h"];
        let mut running = Running::start(command(&options)?)?;
        // Its own look must not see the churn.
        until("the first report", || {
            let is_over = |object: &Value| object["type"] == "summary";
            Ok(running.objects_so_far()?.iter().any(is_over).then_some(()))
        })?;
        churn.start()?;
        ensure!(churn.leaked()? == LEAKS);
        let truth: BTreeSet<u64> = ss::close_wait(&pair.a)?.into_keys().collect();
        let finished = running.interrupt()?.expect_code(0)?;
        let inode = pair.a.inode()?;
        let leaks = finished.leaks()?;
        let own = leaks.iter().filter(|leak| leak["netns"] == inode);
        let own: Vec<&Value> = own.collect();
        let told: Result<BTreeSet<u64>> = own.iter().map(|leak| cookie(leak)).collect();
        ensure!(told? == truth && own.len() == LEAKS, "{} told", own.len());
        for leak in own {
            let opener = &leak["opener"];
            ensure!(opener.is_null() || opener["pid"] == churn.server.pid(), "{leak}");
        }
        missed(&finished.summary()?)
    })
}

#[test]
fn no_dwell_is_made_up() -> Result<()> {
    until_missed(|pair| {
        let mut stream = Stream::of(pair)?;
        come_and_go(pair)?;
        let pid = stream.running().pid();
        let skipped = skipped(pid)?;
        // From here on those are seen that come in the midst of others, and once each.
        std::thread::sleep(ATTACHED);
        come_and_go(pair)?;
        // It has no capabilities any more when it attaches the program that sees them.
        let seen = counted(pid, Counter::NestedTransitions)?;
        ensure!(skipped < MANY || seen > 0, "{skipped} missed, and none seen after that");
        let finished = stream.finish()?;
        let summary = finished.summary()?;
        if summary["lost"]["ring_full"] != 0 {
            // Lost on the way to user space, with a dwell that the kernel side knows.
            return Ok(0);
        }
        let mut before: HashMap<u64, Value> = HashMap::new();
        let mut gaps = 0_u64;
        for line in finished.objects()? {
            let Some(own) = line["cookie"].as_u64().filter(|_| line["type"] == "transition") else {
                continue;
            };
            let Some(last) = before.insert(own, line.clone()) else { continue };
            ensure!(last["to"] != line["to"], "told twice: {last} {line}");
            if last["to"] != line["from"] {
                gaps += 1;
                ensure!(line["dwell_ns"].is_null(), "how long, when nobody saw it begin? {line}");
            }
        }
        ensure!(before.len() as u64 >= 2 * CONNECTIONS, "{} sockets", before.len());
        let missed = missed(&summary)?;
        println!("{gaps} gaps, {missed} missed");
        ensure!(gaps <= missed, "{gaps} gaps, {missed} counted");
        Ok(missed)
    })
}

/// How many transitions a tool that runs has missed, by its last report, and how many it has seen
/// in the midst of others.
fn so_far(running: &mut Running) -> Result<(u64, u64)> {
    let is_report = |object: &Value| object["type"] == "summary";
    let reports = running.objects_so_far()?.iter().filter(|object| is_report(object)).count();
    let report = until("another report", || {
        // The next one may have been under way.
        let later = running.objects_so_far()?.iter().filter(|object| is_report(object));
        Ok(later.clone().nth(reports + 1).cloned())
    })?;
    Ok((missed(&report)?, counted(running.pid(), Counter::NestedTransitions)?))
}

fn come_and_go(pair: &NetPair) -> Result<()> {
    let mut churn = Churn::prepare(pair)?;
    churn.start()?;
    churn.leaked()?;
    Ok(())
}

/// Kernels from 7.0 on preempt in the midst of programs: one task may wait in the first program and
/// another in the second, and a third one's transition passes both by.
fn preempts_anywhere() -> Result<bool> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let major = release.split('.').next().context("no number")?;
    Ok(major.parse::<u32>()? >= 7)
}

#[test]
fn once_any_was_missed_they_are_seen() -> Result<()> {
    let Some(pair) = pair()? else { return Ok(()) };
    let options = ["leaks", "-o", "json", "--min-age", "0s", "--interval", "500ms"];
    let mut running = Running::start(command(&options)?)?;
    let mut before = (0, 0);
    for _ in 0..ROUNDS {
        come_and_go(&pair)?;
        // Some are missed before the second program is attached.
        std::thread::sleep(ATTACHED);
        before = so_far(&mut running)?;
        if before.1 > 0 {
            break;
        }
    }
    ensure!(before.1 > 0, "none came in {ROUNDS} rounds: this test shows nothing: {before:?}");
    for _ in 0..ROUNDS {
        come_and_go(&pair)?;
        let (missed, seen) = so_far(&mut running)?;
        let skipped = skipped(running.pid())?;
        ensure!(seen <= skipped, "{seen} seen, but {skipped} skipped: some were told twice");
        let (missed, seen) = (missed.saturating_sub(before.0), seen - before.1);
        println!("{missed} missed, {seen} seen in the midst of others");
        let most = if preempts_anywhere()? { seen } else { 5 + seen / 10 };
        ensure!(missed <= most, "{missed} missed, {seen} seen");
        if seen > 20 {
            running.interrupt()?.expect_code(0)?;
            return Ok(());
        }
    }
    anyhow::bail!("none came in {ROUNDS} rounds: this test shows nothing")
}

//! More stacks than there is room for while nobody takes them up: what is lost is counted, no leak is,
//! and no stack is another one's.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::scenario::Scenario;
use tcptrace_tests::tool::{Running, is_leak};
use tcptrace_tests::wait::until;

/// The tool has room for the copies of about 150 stacks.
const CONNECTIONS: usize = 600;

/// In one run of some ten, processes use up their budgets before the room is full.
const RUNS: usize = 5;

#[test]
fn stacks_that_find_no_room_are_counted_and_no_leak_is_lost() -> Result<()> {
    for _ in 0..RUNS {
        if some_find_no_room()? {
            return Ok(());
        }
    }
    bail!("all found room in {RUNS} runs")
}

/// Whether it came to that; everything else has to hold in any case.
fn some_find_no_room() -> Result<bool> {
    let pair = NetPair::new()?;
    let place = pair.a.path().display().to_string();
    let mut running = Running::leaks(&["--netns", &place])?;
    // From here on nobody empties a ring, and nobody learns how to walk a new program's stacks.
    running.signal(Signal::SIGSTOP)?;
    let (a, count) = (pair.a.v4.to_string(), CONNECTIONS.to_string());
    // Arguments lie above the stack: a copy that begins near its top is as long as it can be.
    let ballast = "x".repeat(64 << 10);
    let common = ["--count", &count, "--ballast", &ballast];
    let server = [&["accept-many", "--addr", &a][..], &common].concat();
    let server = Scenario::spawn(&pair.a, &server)?;
    let to = format!("{a}:{}", server.fact("port")?);
    let client = [&["connect", "--connect", &to][..], &common].concat();
    let mut client = Scenario::spawn(&pair.b, &client)?;
    client.fact("ready")?;
    server.fact("accepted_all")?;
    client.tell("finish")?;
    running.signal(Signal::SIGCONT)?;
    let leaks = until("a report with every leak", || {
        let leaks = running.objects_so_far()?.iter().filter(|object| is_leak(object)).cloned();
        Ok(Some(leaks.collect::<Vec<_>>()).filter(|leaks| leaks.len() >= CONNECTIONS))
    })?;
    let summary = running.interrupt()?.expect_code(0)?.summary()?;
    let told = summary["lost"]["stack_lost"].as_u64().context("no count")?;
    let mut by_status: BTreeMap<String, u64> = BTreeMap::new();
    for leak in &leaks[..CONNECTIONS] {
        ensure!(leak["opener"]["pid"] == server.pid(), "{leak}");
        *by_status.entry(status(leak)?).or_default() += 1;
    }
    println!("{by_status:?}, {told} lost");
    let lost = by_status.get("unwind-failed").copied().unwrap_or_default();
    let whole = by_status.get("ok").copied().unwrap_or_default();
    // The clients' stacks, which are in no report, take room too.
    ensure!(told >= lost, "{told} lost: {by_status:?}");
    ensure!(whole > 0, "none had room: {by_status:?}");
    Ok(lost > 0)
}

/// The status of the stack that opened a socket. One that is whole is that of the server's place.
fn status(leak: &Value) -> Result<String> {
    let stack = &leak["open_stack"];
    let status = stack["status"].as_str().with_context(|| leak.to_string())?;
    let frames = stack["frames"].as_array().with_context(|| leak.to_string())?;
    let names = || frames.iter().filter_map(|frame| frame["function"].as_str());
    let is_server = names().any(|name| name.contains("accept_many"));
    match status {
        "ok" => ensure!(is_server, "{stack}"),
        "unwind-failed" => {
            ensure!(frames.is_empty(), "{stack}");
            let reason = stack["reason"].as_str().unwrap_or_default();
            ensure!(reason.contains("no room"), "{stack}");
        }
        _ => ensure!(!stack["reason"].is_null(), "{stack}"),
    }
    Ok(status.to_owned())
}

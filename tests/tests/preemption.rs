//! Kernels that preempt anywhere preempt the tool's own programs too: nothing may be mixed up.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde_json::Value;
use tcptrace_common::counter::Counter;
use tcptrace_tests::bpf::counted;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::scenario::Scenario;
use tcptrace_tests::tool::{Running, is_leak};
use tcptrace_tests::wait::until;

const CONNECTIONS: usize = 800;
/// Connections before anybody comes in between.
const FIRST: usize = 3;

/// A server accepts in one place, while another program on its CPU, which goes first, connects and
/// accepts in two others: each of the server's sockets has the one stack of its server.
#[test]
fn one_place_has_one_stack() -> Result<()> {
    let pair = NetPair::new()?;
    let place = pair.a.path().display().to_string();
    let mut running = Running::leaks(&["--netns", &place])?;
    let a = pair.a.v4.to_string();
    let count = (CONNECTIONS + FIRST).to_string();
    let server = Scenario::spawn(&pair.a, &["accept-many", "--addr", &a, "--count", &count])?;
    let to = format!("{a}:{}", server.fact("port")?);
    // By these the tool learns to walk the server's stack.
    let mut first = connect(&pair, &to, FIRST)?;
    first.tell("finish")?;
    running.wait_leak("the first", |leak| (leak["open_stack"]["status"] == "ok").then_some(()))?;
    let args = ["intrude", "--addr", "127.0.0.1", "--for-ms", "8000"];
    let intruder = Scenario::spawn(&pair.b, &args)?;
    intruder.fact("ready")?;
    let mut client = connect(&pair, &to, CONNECTIONS)?;
    server.fact("accepted_all")?;
    client.tell("finish")?;
    let intrusions: u64 = intruder.parsed("intrusions")?;
    ensure!(intrusions > 100, "{intrusions} intrusions are none");
    let leaks = until("a report with every leak", || {
        let leaks = running.objects_so_far()?.iter().filter(|object| is_leak(object)).cloned();
        Ok(Some(leaks.collect::<Vec<_>>()).filter(|leaks| leaks.len() >= CONNECTIONS))
    })?;
    let stacks = stacks(&leaks);
    println!("{intrusions} intrusions");
    let trails = counted(running.pid(), Counter::StackTrails)?;
    ensure!(trails > CONNECTIONS as u64 / 4, "{trails} stacks by their trail");
    ensure!(stacks.len() == 1, "{} sockets have {} stacks: {stacks:#?}", leaks.len(), stacks.len());
    let summary = running.interrupt()?.expect_code(0)?.summary()?;
    ensure!(summary["lost"]["stack_lost"] == 0, "{summary}");
    Ok(())
}

fn connect(pair: &NetPair, to: &str, count: usize) -> Result<Scenario> {
    let count = count.to_string();
    let client = Scenario::spawn(&pair.b, &["connect", "--connect", to, "--count", &count])?;
    client.fact("ready")?;
    Ok(client)
}

/// How often each stack is told, by status and function names.
fn stacks(leaks: &[Value]) -> BTreeMap<String, usize> {
    let mut stacks = BTreeMap::new();
    for leak in leaks {
        let stack = &leak["open_stack"];
        let frames = stack["frames"].as_array().into_iter().flatten();
        let names: Vec<_> = frames.map(|frame| frame["function"].to_string()).collect();
        let told = format!("{} {} {}", stack["status"], stack["reason"], names.join(" < "));
        *stacks.entry(told).or_default() += 1;
    }
    stacks
}

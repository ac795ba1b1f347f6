//! The tool's stacks against gdb's, for programs as they really are.
//!
//! Every target opens sockets in one process twice along each path: first with the tool alone, as
//! the first events of that process, then with gdb attached as well. 95 frames of 100 must be
//! gdb's, and no stack may be wrong that the tool presents as right.

use anyhow::{Result, ensure};
use serde_json::Value;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::stacks::bench::{self, Which};
use tcptrace_tests::stacks::compare::Score;
use tcptrace_tests::stacks::event::{Event, Kind};
use tcptrace_tests::stacks::gdb::Gdb;
use tcptrace_tests::stacks::nginx::Nginx;
use tcptrace_tests::stacks::program::Program;
use tcptrace_tests::stacks::reported::Reported;
use tcptrace_tests::stacks::target::{Target, Walker, Way};
use tcptrace_tests::stacks::ways;

fn check(program: Program, ways: &[Way], which: Which) -> Result<()> {
    let pair = NetPair::new()?;
    let start = |pair| Walker::listening(program, pair);
    good(&bench::compare(&pair, start, ways, which)?)
}

fn good(score: &Score) -> Result<()> {
    ensure!(score.is_good(), "{score}");
    println!("{score}");
    Ok(())
}

#[test]
fn c() -> Result<()> {
    check(Program::C, &ways::c(), Which::Both)
}

#[test]
fn rust() -> Result<()> {
    check(Program::Rust, &ways::others(), Which::Both)
}

#[test]
fn go() -> Result<()> {
    check(Program::Go, &ways::others(), Which::Both)
}

/// The interpreter rewrites its instructions as it learns, so that a path may look different the
/// second time: only the very events that gdb saw are compared.
#[test]
fn python() -> Result<()> {
    check(Program::Python, &ways::others(), Which::Watched)
}

#[test]
fn node() -> Result<()> {
    check(Program::Node, &ways::NODE, Which::Both)
}

#[test]
fn nginx() -> Result<()> {
    let pair = NetPair::new()?;
    good(&bench::compare(&pair, Nginx::start, &ways::NGINX, Which::Both)?)
}

/// gdb guesses where JavaScript begins, so only the frames above are compared.
#[test]
fn node_connects_from_javascript() -> Result<()> {
    let pair = NetPair::new()?;
    let mut tool = bench::trace(&pair)?;
    let mut node = Walker::listening(Program::Node, &pair)?;
    let events = bench::walk(&mut node, &[Way::Connect(1), Way::Connect(27)])?;
    node.leak()?;
    let mut score = Score::default();
    for event in &events {
        let truth = above_javascript(&event.watched);
        for ports in [event.alone, event.watched.ports] {
            let leak = tool.wait_leak("node's socket", |leak| {
                bench::is_about(leak, ports).then(|| leak.clone())
            })?;
            let mut told = Reported::of_leak(&leak, Kind::Connect)?;
            ensure!(told.addresses.len() >= truth.frames.len(), "{leak:#}");
            told.addresses.truncate(truth.frames.len());
            score.add("a connect from JavaScript", &told, &truth);
        }
    }
    good(&score)
}

fn above_javascript(event: &Event) -> Event {
    let is_native = |name: &&str| !name.starts_with("Builtins_");
    let depth = event.names().into_iter().take_while(is_native).count();
    Event { frames: event.frames[..depth].to_vec(), ..event.clone() }
}

/// Four threads, hundreds of paths, junk below the stacks: nothing may be mixed up.
#[test]
fn stress() -> Result<()> {
    let pair = NetPair::new()?;
    let mut tool = bench::trace(&pair)?;
    let mut walker = Walker::listening(Program::C, &pair)?;
    let paths = ways::many();
    let alone = walker.accept_at_once(&paths)?;
    let truth = true_stacks(&mut walker, &paths)?;
    walker.leak()?;
    let mut score = Score::default();
    for (event, ports) in truth.iter().zip(alone) {
        bench::add(&mut score, &mut tool, "in a crowd", ports, event)?;
        bench::add(&mut score, &mut tool, "under gdb", event.ports, event)?;
    }
    good(&score)
}

fn true_stacks(walker: &mut Walker<'_>, paths: &[u32]) -> Result<Vec<Event>> {
    let gdb = Gdb::attach(walker.pid())?;
    let mut events = Vec::new();
    for path in paths {
        for (kind, ports) in walker.go(Way::Accept(*path))? {
            events.push(gdb.event(kind, ports)?);
        }
    }
    Ok(events)
}

/// A socket that nobody accepted tells where its listener called listen().
#[test]
fn listener() -> Result<()> {
    let pair = NetPair::new()?;
    let mut tool = bench::trace(&pair)?;
    let mut walker = Walker::start(Program::C, &pair)?;
    let gdb = Gdb::attach(walker.pid())?;
    let port = walker.listen(ways::LISTENER)?;
    let truth = gdb.listen(port)?;
    drop(gdb);
    let ports = walker.queue()?;
    walker.leak()?;
    let mut score = Score::default();
    bench::add(&mut score, &mut tool, "the listener", ports, &truth)?;
    good(&score)
}

/// Without stacks wanted there are none, and nothing else is missing.
#[test]
fn no_stacks() -> Result<()> {
    let pair = NetPair::new()?;
    let mut tool = bench::trace_with(&pair, &["--no-stacks"])?;
    let mut walker = Walker::listening(Program::C, &pair)?;
    let opened = walker.go(Way::Accept(1))?;
    walker.leak()?;
    for (_, ports) in opened {
        let leak: Value = tool
            .wait_leak("the socket", |leak| bench::is_about(leak, ports).then(|| leak.clone()))?;
        ensure!(leak["opener"]["pid"] == walker.pid(), "{leak:#}");
        let told = Reported::of_leak(&leak, Kind::Accept)?;
        ensure!(told.status == "not-traced" && told.addresses.is_empty(), "{told:?}");
    }
    Ok(())
}

//! The second opinion on stacks is worth something: gdb sees what the programs did, and sees the
//! same again when they do it again. The tool under test takes no part.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::stacks::bench;
use tcptrace_tests::stacks::event::{Event, Kind};
use tcptrace_tests::stacks::gdb::Gdb;
use tcptrace_tests::stacks::nginx::Nginx;
use tcptrace_tests::stacks::program::Program;
use tcptrace_tests::stacks::target::{Target, Walker, Way};
use tcptrace_tests::stacks::ways;

/// The functions of `paths.c` around every path.
const AROUND: [&str; 2] = ["run", "work"];

/// What the program says it called, against what gdb says.
fn check_trail(walker: &Walker<'_>, path: u32, event: &Event) -> Result<()> {
    let names = event.names();
    let innermost = names.iter().find(|name| name.starts_with("leaf_")).context("no leaf")?;
    let trail = walker.trail(path, innermost)?;
    let known: BTreeSet<&str> = trail.iter().map(String::as_str).collect();
    let seen: Vec<_> = names.iter().filter(|name| known.contains(**name)).collect();
    ensure!(seen == trail.iter().collect::<Vec<_>>(), "path {path}: {trail:?}, gdb {names:?}");
    let outside: Vec<_> = names.iter().skip_while(|name| **name != AROUND[0]).collect();
    ensure!(outside.get(1) == Some(&&AROUND[1]), "path {path}: {names:?}");
    ensure!(outside.last().is_some_and(|name| name.contains("clone")), "path {path}: {names:?}");
    Ok(())
}

#[test]
fn gdb_sees_the_functions_that_the_program_called() -> Result<()> {
    let pair = NetPair::new()?;
    let mut walker = Walker::listening(Program::C, &pair)?;
    for event in bench::walk(&mut walker, &ways::c())? {
        let (Way::Accept(path) | Way::Connect(path) | Way::Eof(path)) = event.way;
        check_trail(&walker, path, &event.watched)?;
    }
    Ok(())
}

/// As many stacks as paths, and each path has its own.
#[test]
fn gdb_tells_hundreds_of_paths_apart() -> Result<()> {
    let pair = NetPair::new()?;
    let mut walker = Walker::listening(Program::C, &pair)?;
    let gdb = Gdb::attach(walker.pid())?;
    let mut stacks = BTreeMap::new();
    for path in ways::many() {
        for (kind, ports) in walker.go(Way::Accept(path))? {
            let event = gdb.event(kind, ports)?;
            check_trail(&walker, path, &event)?;
            let other = stacks.insert(event.pcs(), path);
            ensure!(other.is_none(), "paths {path} and {other:?} have one stack");
        }
    }
    Ok(())
}

#[test]
fn gdb_sees_the_call_of_listen() -> Result<()> {
    let pair = NetPair::new()?;
    let mut walker = Walker::start(Program::C, &pair)?;
    let gdb = Gdb::attach(walker.pid())?;
    let port = walker.listen(ways::LISTENER)?;
    let event = gdb.listen(port)?;
    check_trail(&walker, ways::LISTENER, &event)
}

/// The same way twice under gdb gives the same stack, so that a stack of the tool may be compared
/// with that of another event.
fn check_repeats(target: &mut dyn Target, ways: &[Way]) -> Result<()> {
    let first = bench::walk(target, ways)?;
    let second = bench::walk(target, ways)?;
    ensure!(!first.is_empty() && first.len() == second.len());
    for (one, other) in first.iter().zip(&second) {
        let same = one.watched.pcs() == other.watched.pcs();
        ensure!(same, "{:?}:\n{:#?}\n{:#?}", one.way, one.watched, other.watched);
        ensure!(one.watched.frames.len() > 5, "{:#?}", one.watched);
    }
    Ok(())
}

fn check_program(program: Program, ways: &[Way]) -> Result<()> {
    let pair = NetPair::new()?;
    check_repeats(&mut Walker::listening(program, &pair)?, ways)
}

#[test]
fn c_repeats() -> Result<()> {
    check_program(Program::C, &ways::c())
}

#[test]
fn rust_repeats() -> Result<()> {
    check_program(Program::Rust, &ways::others())
}

#[test]
fn go_repeats() -> Result<()> {
    check_program(Program::Go, &ways::others())
}

#[test]
fn python_repeats() -> Result<()> {
    check_program(Program::Python, &ways::others())
}

#[test]
fn node_repeats() -> Result<()> {
    check_program(Program::Node, &ways::NODE)
}

#[test]
fn nginx_repeats() -> Result<()> {
    let pair = NetPair::new()?;
    let mut nginx = Nginx::start(&pair)?;
    check_repeats(&mut nginx, &ways::NGINX)?;
    let kinds: BTreeSet<_> =
        bench::walk(&mut nginx, &ways::NGINX)?.iter().map(|event| event.kind).collect();
    ensure!(kinds == BTreeSet::from([Kind::Accept, Kind::Connect]));
    Ok(())
}

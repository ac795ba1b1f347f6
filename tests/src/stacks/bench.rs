//! One target, seen by the tool and by gdb.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use super::compare::Score;
use super::event::{Event, Kind, Ports};
use super::gdb::Gdb;
use super::reported::Reported;
use super::target::{Target, Way};
use crate::netns::NetPair;
use crate::tool::Running;

/// One event of a target, and the same event again under gdb.
#[derive(Clone, Debug)]
pub struct Pair {
    /// What made it happen.
    pub way: Way,
    /// What happened.
    pub kind: Kind,
    /// The socket of the event that nobody but the tool watched.
    pub alone: Ports,
    /// The event that gdb watched.
    pub watched: Event,
}

/// From one way to the next, alone. A frame of 64 KB hides what lies behind it from user space, which gets a copy
/// of less than that until the kernel side has its rule: in a moment in which the tool gets no CPU all the
/// ways would be gone before the first rule is there.
const PACE: Duration = Duration::from_millis(10);

/// Goes every way alone, then every way again under gdb, in the same process.
pub fn walk(target: &mut dyn Target, ways: &[Way]) -> Result<Vec<Pair>> {
    let mut go = |way: &Way| {
        sleep(PACE);
        target.go(*way)
    };
    let alone: Result<Vec<_>> = ways.iter().map(&mut go).collect();
    let gdb = Gdb::attach(target.pid())?;
    let mut pairs = Vec::new();
    for (&way, first) in ways.iter().zip(alone?) {
        let again = target.go(way).with_context(|| format!("{way:?} under gdb"))?;
        for ((kind, alone), (_, ports)) in first.into_iter().zip(again) {
            pairs.push(Pair { way, kind, alone, watched: gdb.event(kind, ports)? });
        }
    }
    Ok(pairs)
}

/// Which stacks of the tool are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those of the very events that gdb saw.
    Watched,
    /// These, and those of the same ways before gdb was there.
    Both,
}

/// Starts the tool, then a target, goes every way, and compares the stacks of all leaks.
pub fn compare<'a, T: Target>(
    pair: &'a NetPair,
    start: impl FnOnce(&'a NetPair) -> Result<T>,
    ways: &[Way],
    which: Which,
) -> Result<Score> {
    let mut tool = trace(pair)?;
    let mut target = start(pair)?;
    let events = walk(&mut target, ways)?;
    target.leak()?;
    let mut score = Score::default();
    for event in &events {
        let what = format!("{:?} of {:?} under gdb", event.kind, event.way);
        add(&mut score, &mut tool, &what, event.watched.ports, &event.watched)?;
        if which == Which::Both {
            let what = format!("{:?} of {:?} alone", event.kind, event.way);
            add(&mut score, &mut tool, &what, event.alone, &event.watched)?;
        }
    }
    Ok(score)
}

/// The tool, following a namespace.
pub fn trace(pair: &NetPair) -> Result<Running> {
    trace_with(pair, &[])
}

/// [`trace`] with more options.
pub fn trace_with(pair: &NetPair, options: &[&str]) -> Result<Running> {
    let place = pair.a.path().display().to_string();
    Running::leaks(&[&["--netns", place.as_str()], options].concat())
}

/// Compares the stack that the tool tells of a socket with one of gdb.
pub fn add(
    score: &mut Score,
    tool: &mut Running,
    what: &str,
    ports: Ports,
    truth: &Event,
) -> Result<()> {
    let told = tool.wait_leak(what, |leak| is_about(leak, ports).then(|| leak.clone()))?;
    score.add(what, &Reported::of_leak(&told, truth.kind)?, truth);
    Ok(())
}

/// Whether a leak is about this socket.
pub fn is_about(leak: &Value, ports: Ports) -> bool {
    leak["local_port"] == ports.local && leak["remote_port"] == ports.remote
}

//! Records that nobody can understand: left out, counted, and all others are read.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tcptrace_tests::forge::put;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::puppet::Puppet;
use tcptrace_tests::stacks::tables::Scratch;
use tcptrace_tests::stream::{Stream, Which};
use tcptrace_tests::tool::{Running, command, run};
use tcptrace_tests::wait::until;

/// Of an unknown kind, of none, and a transition that is cut short.
const RECORDS: [i32; 3] = [99, 0, 1];

fn damage(pid: u32) -> Result<()> {
    RECORDS.iter().try_for_each(|word| put(pid, "EVENTS", *word))
}

fn expect_counted(summary: &Value) -> Result<()> {
    ensure!(summary["lost"]["record_damaged"] == RECORDS.len(), "{summary}");
    Ok(())
}

#[test]
fn stream_goes_on() -> Result<()> {
    let pair = NetPair::new()?;
    let mut stream = Stream::of(&pair)?;
    let mut server = Puppet::new(&pair.a)?;
    damage(stream.running().pid())?;
    server.listen(std::net::SocketAddr::new(pair.a.v4.into(), 0), 16)?;
    stream.life_up_to(&Which::of(&pair.a, "listener")?, "LISTEN")?;
    expect_counted(&stream.finish()?.summary()?)
}

fn started(args: &[&str]) -> Result<Running> {
    let running = Running::start(command(args)?)?;
    running.wait_tracing()?;
    Ok(running)
}

#[test]
fn histograms_are_those_of_the_others() -> Result<()> {
    let running = started(&["hist", "--exact", "-o", "json"])?;
    damage(running.pid())?;
    expect_counted(&running.interrupt()?.summary()?)
}

/// Stacks come through a ring of their own.
#[test]
fn leaks_count_what_both_rings_have() -> Result<()> {
    let mut running = Running::leaks(&["--interval", "1s"])?;
    damage(running.pid())?;
    put(running.pid(), "STACKS", 99)?;
    let all = RECORDS.len() as u64 + 1;
    let counted = until("both rings to be read", || {
        let objects = running.objects_so_far()?.iter().rev();
        let mut lost = objects.filter_map(|object| object["lost"]["record_damaged"].as_u64());
        Ok(lost.find(|count| *count >= all))
    })?;
    ensure!(counted == all, "{counted}");
    running.interrupt()?;
    Ok(())
}

/// What cannot be understood is not recorded: a recording is read to its end.
#[test]
fn a_recording_has_the_others() -> Result<()> {
    let scratch = Scratch::new("damaged-records")?;
    let path = scratch.path("damaged.rec");
    let file = path.to_str().context("a path of text")?;
    let recorder = started(&["record", file, "--interval", "1s"])?;
    damage(recorder.pid())?;
    std::thread::sleep(Duration::from_millis(1500));
    recorder.interrupt()?.expect_code(0)?;
    let replayed = run(command(&["stream", "--replay", file, "-o", "json"])?)?;
    expect_counted(&replayed.expect_code(0)?.summary()?)
}

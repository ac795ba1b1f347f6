//! Half a million connections in some seconds: nothing is lost, and neither the tool nor its maps
//! grow with connections that are over. `cargo xtask bench -- soak` does it for as long as one likes.

use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use tcptrace_tests::footprint::Footprint;
use tcptrace_tests::load;
use tcptrace_tests::tool::Running;
use tcptrace_tests::wait::patience;

const LOAD: Duration = Duration::from_secs(10);
/// By then all buffers have been used.
const WARM: Duration = Duration::from_secs(4);
/// What may still come: a page here and there, and other tests' sockets.
const SLACK: u64 = 4 << 20;

#[test]
fn memory_stays_flat_and_nothing_is_lost() -> Result<()> {
    let running = Running::leaks::<&str>(&[])?;
    let (done, before) = thread::scope(|scope| {
        let load = scope.spawn(|| load::run(LOAD, |_| Ok(())));
        thread::sleep(WARM);
        let before = Footprint::of(running.pid());
        (load.join(), before)
    });
    let done = done.map_err(|_| anyhow!("the load panicked"))??;
    let (before, after) = (before?, Footprint::of(running.pid())?);
    let summary = running.interrupt()?.expect_code(0)?.summary()?;
    eprintln!("{done:?} {before:?} {after:?} {summary}");
    ensure!(done.connections > 20_000 / u64::from(patience()), "no load: {done:?}");
    ensure!(after.resident <= before.resident + SLACK, "{before:?} {after:?}");
    ensure!(after.maps <= before.maps + SLACK, "{before:?} {after:?}");
    // A transition in a softirq is not seen while the same program runs on its CPU; nothing else.
    let lost = summary["lost"].as_object().ok_or_else(|| anyhow!("no losses: {summary}"))?;
    for (what, count) in lost.iter().filter(|(what, _)| *what != "recursion") {
        ensure!(count == 0, "{what}: {summary}");
    }
    let events = summary["events"].as_u64().unwrap_or_default();
    let missed = lost["recursion"].as_u64().unwrap_or_default();
    ensure!(events + missed >= done.connections * load::TRANSITIONS, "{events} of {done:?}");
    Ok(())
}

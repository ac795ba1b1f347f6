//! Room for fewer sockets than there are: each transition and accept() that finds none is counted,
//! and a dwell that is called exact is.

use std::collections::HashMap;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tcptrace_tests::clock::CLOCK_SET;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::scenario::Scenario;
use tcptrace_tests::stream::{Stream, time_of};

/// Connections that are open at once.
const CONNECTIONS: u64 = 300;
/// Children that other tests' servers have born when the trace ends: their births are told with
/// their next transitions, of which there are none.
const UNTOLD: u64 = 50;

#[test]
fn what_finds_no_room_is_counted() -> Result<()> {
    let pair = NetPair::new()?;
    let mut stream = Stream::with(&["--max-sockets", "100", "--no-time-wait"])?;
    let crowd = Scenario::spawn(&pair.a, &["crowd", "--count", &CONNECTIONS.to_string()])?;
    crowd.fact("ready")?;
    // Now others find room.
    drop(crowd);
    let crowd = Scenario::spawn(&pair.a, &["crowd", "--count", "10"])?;
    crowd.fact("ready")?;
    drop(crowd);
    // Whatever comes before this has come.
    stream.so_far()?;
    let finished = stream.finish()?;
    let summary = finished.summary()?;
    let number = |value: &Value| value.as_u64().with_context(|| format!("no number: {summary}"));
    let (events, shown) = (number(&summary["events"])?, number(&summary["shown"])?);
    let lost = number(&summary["lost"]["memory_full"])?;
    ensure!(lost >= 2 * CONNECTIONS, "{lost} found no room");
    ensure!(number(&summary["lost"]["ring_full"])? == 0, "{summary}");
    // Each of them, and each accept() of a socket for which there is none.
    let missing = events - shown;
    ensure!(missing <= lost + UNTOLD, "{missing} not shown: {summary}");
    ensure!(lost <= missing + CONNECTIONS + UNTOLD, "{missing} not shown: {summary}");
    exact_dwells(&finished.objects()?)
}

/// Every dwell begins when the line before of the same socket says that its state was entered.
fn exact_dwells(objects: &[Value]) -> Result<()> {
    let mut entered: HashMap<u64, (String, i64)> = HashMap::new();
    let (mut exact, mut unknown) = (0, 0);
    for line in objects.iter().filter(|object| object["type"] == "transition") {
        let cookie = line["cookie"].as_u64().with_context(|| format!("no cookie: {line}"))?;
        let now = time_of(line)?;
        match line["dwell_ns"].as_i64() {
            None => unknown += 1,
            Some(dwell) => {
                let (state, since) = entered.get(&cookie).with_context(|| line.to_string())?;
                ensure!(line["from"] == state.as_str(), "{line}: entered {state}");
                ensure!(
                    (now - dwell).abs_diff(*since) <= CLOCK_SET.unsigned_abs(),
                    "{line}: entered at {since}"
                );
                exact += 1;
            }
        }
        let to = line["to"].as_str().context("no state")?.to_owned();
        entered.insert(cookie, (to, now));
    }
    ensure!(exact > 100 && unknown > 100, "{exact} exact, {unknown} unknown");
    Ok(())
}

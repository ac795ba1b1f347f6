//! What a run of the load beside a contender showed.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::contender::{Contender, Events, Running, Used};
use tcptrace_tests::load::{self, Done};

/// No line of any output is longer.
const LONGEST_LINE: u64 = 64 << 10;

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// The load.
    pub load: Done,
    /// What the contender used, where it is a process.
    pub used: Option<Used>,
    /// Events that it showed or counted, where it says.
    pub seen: Option<u64>,
    /// Events that it lost, where that can be told.
    pub lost: Option<u64>,
}

/// Runs the load beside a contender. `meanwhile` looks at it when the load is over and it is not.
pub fn run(
    contender: &Contender,
    time: Duration,
    dir: &Path,
    meanwhile: impl FnOnce(&Running) -> Result<()>,
) -> Result<Figures> {
    let mut running = Running::Nothing;
    let load = load::run(time, |pair| {
        running = contender.start(&pair.a, dir)?;
        Ok(())
    })?;
    meanwhile(&running)?;
    let Running::Process(process) = running else {
        return Ok(Figures { load, used: None, seen: None, lost: None });
    };
    let (output, used) = process.stop().with_context(|| contender.name)?;
    let (seen, lost) = count(contender.events, load.connections, &output)?;
    Ok(Figures { load, used: Some(used), seen, lost })
}

/// Events that an output shows and those that it lacks.
fn count(events: Events, connections: u64, output: &Path) -> Result<(Option<u64>, Option<u64>)> {
    let per_connection = match events {
        Events::None => return Ok((None, None)),
        Events::Summary => return summary(output),
        Events::Lines => load::TRANSITIONS,
        Events::Sockets => 2,
    };
    // The first line is the head of the table.
    let lines = (BufReader::new(File::open(output)?).split(b'\n').count() as u64).saturating_sub(1);
    Ok((Some(lines), Some((connections * per_connection).saturating_sub(lines))))
}

fn summary(output: &Path) -> Result<(Option<u64>, Option<u64>)> {
    let line = last_line(output)?;
    let summary: Value = serde_json::from_str(&line).with_context(|| format!("summary: {line}"))?;
    let lost = summary["lost"].as_object().context("no `lost`")?;
    Ok((summary["events"].as_u64(), Some(lost.values().filter_map(Value::as_u64).sum())))
}

fn last_line(path: &Path) -> Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LONGEST_LINE)))?;
    let mut end = String::new();
    file.read_to_string(&mut end)?;
    Ok(end.lines().last().unwrap_or_default().to_owned())
}

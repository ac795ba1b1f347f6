//! `cargo xtask fuzz`: libFuzzer over everything that reads bytes from strangers.
//!
//! libFuzzer is compiled from the sources in `libfuzzer-sys`, and what it wants of rustc the stable
//! compiler has too, so neither a nightly nor `cargo-fuzz` is needed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};

use crate::cargo::{MESSAGES, cargo, executables_of, root};
use crate::step;

/// Where new inputs and findings go.
const WORK: &str = "target/fuzz";
/// Where the kept inputs and the program's sources are.
const PLACE: &str = "tests/fuzz";

/// Tells the program which target to run.
const NAME: &str = "TCPTRACE_FUZZ";

/// What an input may take at most: memory in MB, and seconds.
const LIMITS: [&str; 3] = ["-rss_limit_mb=1024", "-timeout=10", "-max_len=65536"];

/// Where libFuzzer's random numbers begin.
#[derive(Debug, Clone, Copy)]
pub enum Seed {
    /// Elsewhere each time, which finds more.
    Random,
    /// At the same place each time, so that one commit is judged alike whenever it is judged.
    Fixed,
}

impl Seed {
    /// libFuzzer takes a seed itself when it is given 0.
    fn argument(self) -> &'static str {
        match self {
            Self::Random => "-seed=0",
            Self::Fixed => "-seed=1",
        }
    }
}

/// Fuzzes each target, or the one that is named, for so long each.
pub fn run(target: Option<&str>, time: Duration, seed: Seed) -> Result<()> {
    let targets = chosen(target)?;
    let program = build()?;
    let began = Instant::now();
    let queue = Mutex::new(targets.iter());
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let work = || -> Result<()> {
        loop {
            // Taken apart from the loop's condition, so that the lock is not held meanwhile.
            let next = queue.lock().map_or(None, |mut queue| queue.next());
            let Some(target) = next else { return Ok(()) };
            fuzz(&program, target, time, seed)?;
        }
    };
    thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut results = workers.into_iter().map(thread::ScopedJoinHandle::join);
        results.try_for_each(|result| result.map_err(|_| anyhow!("a thread panicked"))?)
    })?;
    step::say("fuzz", &format!("{} targets, {}s", targets.len(), began.elapsed().as_secs()));
    Ok(())
}

/// The targets, or the one of this name.
fn chosen(name: Option<&str>) -> Result<Vec<String>> {
    let mut targets = Vec::new();
    for entry in fs::read_dir(root().join(PLACE).join("corpus"))? {
        targets.push(entry?.file_name().to_string_lossy().into_owned());
    }
    targets.sort();
    let Some(name) = name else { return Ok(targets) };
    let all = targets.join(", ");
    targets.retain(|target| target == name);
    ensure!(!targets.is_empty(), "no target {name}; there are {all}");
    Ok(targets)
}

/// Builds the program and says where it is.
fn build() -> Result<PathBuf> {
    let mut command =
        cargo(&["build", MESSAGES, "--package=tcptrace-fuzz", "--bin=engine", "--features=engine"]);
    command.env("RUSTC_WORKSPACE_WRAPPER", root().join(PLACE).join("instrument"));
    // The eBPF half has no part in it.
    command.env("AYA_BUILD_SKIP", "1");
    let built = executables_of(&mut command)?;
    let engine = built.into_iter().find(|executable| executable.target == "engine");
    Ok(engine.context("cargo built no engine")?.path)
}

/// Fuzzes one target. What is new goes into a folder of its own and is used the next time.
fn fuzz(program: &Path, target: &str, time: Duration, seed: Seed) -> Result<()> {
    let work = root().join(WORK);
    let (new, found) = (work.join("corpus").join(target), work.join("found"));
    fs::create_dir_all(&new)?;
    fs::create_dir_all(&found)?;
    let mut command = Command::new(program);
    command.env(NAME, target).args([&new, &root().join(PLACE).join("corpus").join(target)]);
    command.arg(format!("-max_total_time={}", time.as_secs().max(1))).args(LIMITS);
    command.arg(seed.argument());
    command.arg(format!("-artifact_prefix={}/{target}-", found.display()));
    let output = command.stdin(Stdio::null()).output();
    let output = output.with_context(|| format!("cannot start `{}`", step::show(&command)))?;
    if !output.status.success() {
        bail!("{}", complaint(target, &output));
    }
    step::say("fuzz", &format!("{target}: {}", last_words(&output)));
    Ok(())
}

/// What a program printed when it found something.
fn complaint(target: &str, output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(40)..].join("\n");
    format!(
        "{tail}\nfuzz: {target} found something. Fix it, and keep the input that is named above \
         in {PLACE}/corpus/{target}/"
    )
}

/// `Done 12345 runs in 5 second(s)`, as libFuzzer says it.
fn last_words(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let done = text.lines().rev().find(|line| line.starts_with("Done ")).unwrap_or("done");
    done.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_chosen_by_its_name() {
        assert_eq!(chosen(Some("record")).unwrap(), ["record"]);
        assert!(chosen(None).unwrap().len() > 10);
        let error = chosen(Some("banana")).unwrap_err().to_string();
        assert!(error.contains("no target banana; there are btf, "), "{error}");
    }
}

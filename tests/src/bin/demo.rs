//! `cargo xtask demo`: leaks on purpose, and what tcptrace says of them.
//!
//! Small servers and clients misbehave in two network namespaces of their own; everything is
//! gone when this ends, however it ends.

use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tcptrace_tests::lines::Lines;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::situation::{Situation, Staged};
use tcptrace_tests::tool;
use tcptrace_tests::wait::DEADLINE;

/// What goes wrong, in the words of a bug report.
const SITUATIONS: [(&str, Situation); 8] = [
    ("a server reads end-of-file and forgets close()", Situation::READ_EOF_KEEP),
    ("a server accepts and never reads", Situation::NEVER_READ),
    ("a server listens and never accepts; three clients wait", Situation::NEVER_ACCEPT),
    ("a forked child keeps what its parent closed", Situation::CHILD_INHERITS),
    ("a client keeps a connection that the server closed", Situation::CLIENT_LEAK),
    ("a peer resets; the server keeps the descriptor", Situation::RST),
    ("a server cannot send the rest, its peer does not read", Situation::SEND_BLOCKED),
    ("a server half-closes by design (no leak)", Situation::HALF_CLOSE),
];

/// Long enough for every leak to pass the age below.
const DURATION: &str = "8s";
const MIN_AGE: &str = "3s";

fn main() -> Result<()> {
    let pair = NetPair::new().context("cannot make network namespaces (root?)")?;
    let mut tool = command(&pair)?.spawn().context("cannot start tcptrace")?;
    println!("$ sudo tcptrace leaks --min-age {MIN_AGE} --duration {DURATION}");
    let said = Lines::of(tool.stderr.take().context("no standard error")?);
    let started = said.wait(DEADLINE, |lines| {
        lines.iter().any(|line| line.text().contains("tracing")).then_some(())
    });
    started.with_context(|| format!("tcptrace does not start: {}", said.text()))?;
    let staged = stage(&pair)?;
    let status = tool.wait()?;
    drop(staged);
    ensure!(status.success(), "tcptrace failed: {}", said.text());
    Ok(())
}

/// The first report shows a host without leaks, the last one, after [`DURATION`], all of them.
fn command(pair: &NetPair) -> Result<Command> {
    let mut command = tool::command(&[
        "leaks",
        "--min-age",
        MIN_AGE,
        "--duration",
        DURATION,
        "--interval",
        "1h",
    ])?;
    for namespace in pair.both() {
        command.arg("--netns").arg(namespace.path());
    }
    command.stderr(Stdio::piped());
    Ok(command)
}

fn stage(pair: &NetPair) -> Result<Vec<Staged<'_>>> {
    let mut staged = Vec::new();
    for (what, situation) in SITUATIONS {
        staged.push(situation.stage(pair).with_context(|| format!("cannot stage: {what}"))?);
        println!("  happening: {what}");
    }
    println!();
    Ok(staged)
}

//! Wrong options, missing rights, broken outputs, sudden death, and hostile names.

use std::fs;
use std::io::pipe;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tcptrace_tests::bpf::{self, Object};
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::situation::{Situation, Staged};
use tcptrace_tests::tool::{self, Finished, Running, leaks_once};
use tcptrace_tests::wait::{DEADLINE, until};

/// Exit status 2, nothing on standard output, and one line that says each of these words.
fn refused(finished: Finished, words: &[&str]) -> Result<()> {
    let finished = finished.expect_code(2)?;
    ensure!(finished.stdout.is_empty(), "it printed something");
    one_line(&finished.stderr, words)
}

fn one_line(stderr: &str, words: &[&str]) -> Result<()> {
    ensure!(stderr.trim_end().lines().count() == 1, "not one line: {stderr:?}");
    let lower = stderr.to_lowercase();
    let missing: Vec<_> = words.iter().filter(|word| !lower.contains(**word)).collect();
    ensure!(missing.is_empty(), "says nothing of {missing:?}: {stderr}");
    Ok(())
}

fn run(args: &[&str]) -> Result<Finished> {
    tool::run(tool::command(args)?)
}

#[test]
fn a_banana_is_no_duration() -> Result<()> {
    refused(run(&["leaks", "--once", "--min-age", "banana"])?, &["banana", "min-age"])
}

#[test]
fn an_unknown_option() -> Result<()> {
    refused(run(&["leaks", "--bananas"])?, &["--bananas"])
}

#[test]
fn an_unknown_pid() -> Result<()> {
    // Above the largest pid_max that any kernel allows.
    refused(run(&["leaks", "--once", "-p", "4194399"])?, &["4194399"])
}

#[test]
fn an_unknown_namespace() -> Result<()> {
    refused(run(&["leaks", "--once", "--netns", "/run/netns/no-such"])?, &["/run/netns/no-such"])
}

#[test]
fn without_root() -> Result<()> {
    let copy = tool::Copy::new()?;
    let mut command = Command::new("setpriv");
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--"];
    command.args(nobody).arg(copy.path()).args(["leaks", "--once"]);
    refused(tool::run(command)?, &["root"])
}

fn old_leak(pair: &NetPair) -> Result<Staged<'_>> {
    let staged = Situation::NEVER_READ.stage(pair)?;
    staged.wait_close_wait(|socket| socket.last_ack_ms >= 1000)?;
    Ok(staged)
}

/// `tcptrace leaks | head -0`: the reader is gone before the first byte.
#[test]
fn a_closed_pipe_is_success() -> Result<()> {
    let pair = NetPair::new()?;
    let _leak = old_leak(&pair)?;
    for format in ["json", "table"] {
        let (reader, writer) = pipe()?;
        drop(reader);
        let mut command = tool::command(&["leaks", "--once", "--min-age", "1s", "-o", format])?;
        let mut child = command.stdout(writer).spawn()?;
        let status = until("its end", || Ok(child.try_wait()?));
        let _ = child.kill();
        let _ = child.wait();
        let status = status?;
        ensure!(status.code() == Some(0), "{format}: {status}");
    }
    Ok(())
}

/// A full disk is an error: the answer did not arrive.
#[test]
fn a_full_disk_is_an_error() -> Result<()> {
    for format in ["json", "table"] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full")?;
        let mut command = tool::command(&["leaks", "--once", "-o", format])?;
        let output = command.stdout(full).output()?;
        ensure!(output.status.code() == Some(2), "{format}: {output:?}");
        let stderr = String::from_utf8(output.stderr)?;
        let last = stderr.lines().last().context("it said nothing")?;
        one_line(last, &["no space left"])?;
    }
    Ok(())
}

#[test]
fn ctrl_c_gives_a_final_report() -> Result<()> {
    let pair = NetPair::new()?;
    let staged = Situation::NEVER_READ.stage(&pair)?;
    let place = pair.a.path().display().to_string();
    // No interval would come before the end of the test.
    let running = Running::leaks(&["--netns", &place, "--interval", "1h"])?;
    staged.wait_close_wait(|socket| socket.last_ack_ms >= 1000)?;
    let finished = running.interrupt()?.expect_code(0)?;
    ensure!(finished.summary()?["leaks"] == 1, "{:?}", finished.summary()?);
    let peer = staged.socket()?.1.port();
    ensure!(finished.leaks()?.iter().any(|leak| leak["remote_port"] == peer));
    Ok(())
}

#[test]
fn duration_ends_it() -> Result<()> {
    let finished = run(&["leaks", "-o", "json", "--interval", "1h", "--duration", "500ms"])?;
    let traced = finished.expect_code(0)?.summary()?["traced_ns"].as_u64();
    ensure!((500_000_000..10_000_000_000).contains(&traced.context("no traced_ns")?));
    Ok(())
}

/// The kernel drops everything with the process, whenever that ends.
#[test]
fn kill_leaves_nothing() -> Result<()> {
    let running = Running::leaks(&["--interval", "1h"])?;
    let objects = bpf::held_by(running.pid())?;
    let is = |kind: fn(&Object) -> bool| objects.iter().any(kind);
    ensure!(is(|o| matches!(o, Object::Program(_))), "no program: {objects:?}");
    ensure!(is(|o| matches!(o, Object::Map(_))), "no map: {objects:?}");
    for object in &objects {
        ensure!(object.exists()?, "{object:?}");
    }
    running.signal(Signal::SIGKILL)?;
    let finished = running.finish(DEADLINE)?;
    ensure!(finished.code().is_none(), "{}", finished.status);
    for object in objects {
        until(&format!("{object:?} to go"), || Ok((!object.exists()?).then_some(())))?;
    }
    Ok(())
}

/// Neither the terminal nor a JSON reader sees what the name of a process tries to do.
#[test]
fn a_hostile_name_is_escaped() -> Result<()> {
    let pair = NetPair::new()?;
    let staged = Situation::HOSTILE_COMM.stage(&pair)?;
    staged.wait_close_wait(|socket| socket.last_ack_ms >= 1000)?;
    let place = pair.a.path().display().to_string();
    let leaks = leaks_once(&["--min-age", "1s", "--netns", &place])?.leaks()?;
    ensure!(leaks.len() == 1, "{leaks:?}");
    ensure!(leaks[0]["holders"][0]["pid"] == staged.server.pid(), "{leaks:?}");
    for options in [&["-o", "json"][..], &["-o", "table", "--color", "never"]] {
        let fixed = ["leaks", "--once", "--min-age", "1s", "--netns", &place];
        let finished = run(&[&fixed[..], options].concat())?.expect_code(0)?;
        for line in &finished.stdout {
            let text = std::str::from_utf8(&line.bytes).context("output is not UTF-8")?;
            ensure!(!text.contains(char::is_control), "{options:?}: {text:?}");
        }
        let pid = staged.server.pid().to_string();
        ensure!(finished.stdout.iter().any(|line| line.text().contains(&pid)), "{options:?}");
    }
    Ok(())
}

/// The default table fits in 100 columns whatever it has to say.
#[test]
fn the_table_is_not_too_wide() -> Result<()> {
    let pair = NetPair::new()?;
    let _leak = old_leak(&pair)?;
    let finished = run(&["leaks", "--once", "--min-age", "1s", "--color", "never"])?;
    for line in finished.expect_code(0)?.stdout {
        let text = line.text();
        ensure!(text.chars().count() <= 100, "{} columns: {text}", text.chars().count());
    }
    Ok(())
}

/// `timeout -s INT` signals the program and then its group, the program among it.
#[test]
fn two_signals_at_once_still_give_the_last_report() -> Result<()> {
    let running = Running::leaks(&["--interval", "1h"])?;
    running.signal(Signal::SIGINT)?;
    running.signal(Signal::SIGINT)?;
    running.finish(DEADLINE)?.expect_code(0)?.summary()?;
    Ok(())
}

/// Nobody reads on: the first signal asks for a last report, the second ends the program.
#[test]
fn a_stalled_reader_does_not_keep_it() -> Result<()> {
    let pair = NetPair::new()?;
    let _leak = old_leak(&pair)?;
    let options = ["leaks", "-o", "json", "--min-age", "1s", "--interval", "10ms"];
    // Held open, never read.
    let (_reader, writer) = pipe()?;
    let mut child = tool::command(&options)?.stdout(writer).stderr(Stdio::null()).spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let blocked = || -> Result<bool> {
        Ok(fs::read_to_string(format!("/proc/{pid}/wchan"))?.contains("pipe_write"))
    };
    let result = until("the pipe to be full", || Ok(blocked()?.then_some(()))).and_then(|()| {
        kill(pid, Signal::SIGTERM)?;
        until("the first signal to be taken up", || {
            let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
            let pending = status.lines().find(|line| line.starts_with("ShdPnd"));
            Ok(pending.is_some_and(|line| line.ends_with("0000000000000000")).then_some(()))
        })?;
        // Two signals at once are one: `timeout` sends them.
        std::thread::sleep(Duration::from_millis(300));
        kill(pid, Signal::SIGTERM)?;
        until("its end", || Ok(child.try_wait()?))
    });
    let _ = child.kill();
    let _ = child.wait();
    ensure!(result?.code().is_none(), "the signal ended it");
    Ok(())
}

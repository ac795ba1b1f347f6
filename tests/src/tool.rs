//! The tool under test: run once, or running while things happen.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::lines::{Line, Lines};
use crate::wait::{DEADLINE, until, until_within};

/// The longest that any run may take.
const RUN_LIMIT: Duration = Duration::from_secs(60);

/// The directory that cargo puts executables into for this profile.
pub fn target_dir() -> Result<PathBuf> {
    let me = std::env::current_exe()?;
    let dir = me.parent().context("no directory")?;
    let dir = if dir.ends_with("deps") { dir.parent().context("no parent")? } else { dir };
    Ok(dir.to_owned())
}

/// The tool's executable: `$TCPTRACE_BIN`, else the one beside the tests.
pub fn executable() -> Result<PathBuf> {
    let path = match std::env::var_os("TCPTRACE_BIN") {
        Some(path) => PathBuf::from(path),
        None => target_dir()?.join("tcptrace"),
    };
    ensure!(path.exists(), "no tool at {}: build it, or set TCPTRACE_BIN", path.display());
    Ok(path)
}

static COPIES: AtomicU32 = AtomicU32::new(0);

/// A copy of the tool where anybody may execute it.
pub struct Copy {
    dir: PathBuf,
}

impl Copy {
    /// Makes it.
    pub fn new() -> Result<Self> {
        let count = COPIES.fetch_add(1, Ordering::Relaxed);
        let name = format!("tcptrace-copy-{}-{count}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
        let copy = Self { dir };
        fs::copy(executable()?, copy.path())?;
        fs::set_permissions(copy.path(), fs::Permissions::from_mode(0o755))?;
        Ok(copy)
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.dir.join("tcptrace")
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.dir) {
            eprintln!("{}: {error}", self.dir.display());
        }
    }
}

/// A finished run.
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// Standard output, line by line, raw.
    pub stdout: Vec<Line>,
    /// Standard error.
    pub stderr: String,
}

impl Finished {
    /// The exit code; `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Every line as JSON. Fails on a line that is not a versioned object.
    pub fn objects(&self) -> Result<Vec<Value>> {
        let objects: Result<Vec<_>> = self.stdout.iter().map(json).collect();
        objects.with_context(|| format!("standard error was: {}", self.stderr))
    }

    /// The `leak` objects.
    pub fn leaks(&self) -> Result<Vec<Value>> {
        Ok(self.objects()?.into_iter().filter(is_leak).collect())
    }

    /// The last line, which must be a summary.
    pub fn summary(&self) -> Result<Value> {
        let mut objects = self.objects()?;
        let last = objects.pop().with_context(|| format!("no output; it said: {}", self.stderr))?;
        ensure!(last["type"] == "summary", "the last line is not a summary: {last}");
        Ok(last)
    }

    /// Fails unless the exit code is this one.
    pub fn expect_code(self, code: i32) -> Result<Self> {
        let got = self.status;
        ensure!(got.code() == Some(code), "wanted exit {code}, got {got}: {}", self.stderr);
        Ok(self)
    }
}

/// One line of JSON output as an object.
pub fn json(line: &Line) -> Result<Value> {
    let text = std::str::from_utf8(&line.bytes).context("output is not UTF-8")?;
    let value: Value = serde_json::from_str(text).with_context(|| format!("not JSON: {text}"))?;
    ensure!(text.starts_with(r#"{"type":""#), "type does not come first: {text}");
    ensure!(value["v"] == 1, "no version 1: {text}");
    Ok(value)
}

/// Whether an object is a `leak`.
pub fn is_leak(object: &Value) -> bool {
    object["type"] == "leak"
}

/// A command line of the tool, with nothing inherited that changes its output.
pub fn command<S: AsRef<OsStr>>(args: &[S]) -> Result<Command> {
    Ok(command_of(&executable()?, args))
}

/// [`command`] for another copy of the executable.
pub fn command_of<S: AsRef<OsStr>>(executable: &Path, args: &[S]) -> Command {
    let mut command = Command::new(executable);
    command.args(args).env_remove("NO_COLOR").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// Runs a command to its end, or kills it at the limit.
pub fn run(command: Command) -> Result<Finished> {
    Running::start(command)?.finish(RUN_LIMIT)
}

/// `leaks -o json --once` with more options, to its end.
pub fn leaks_once<S: AsRef<OsStr>>(options: &[S]) -> Result<Finished> {
    let mut command = command(&["leaks", "-o", "json", "--once"])?;
    command.args(options);
    run(command)
}

/// A run that is still going on.
pub struct Running {
    child: Child,
    stdout: Lines,
    stderr: Lines,
    /// The objects parsed so far, one for each line of `stdout`.
    objects: Vec<Value>,
}

impl Running {
    /// Starts `leaks -o json --min-age 1s`, with an interval of 1 s where the options name none,
    /// and waits until its hooks are attached.
    pub fn leaks<S: AsRef<OsStr>>(options: &[S]) -> Result<Self> {
        let mut command = command(&["leaks", "-o", "json", "--min-age", "1s"])?;
        command.args(options);
        if !options.iter().any(|option| option.as_ref() == "--interval") {
            command.args(["--interval", "1s"]);
        }
        let running = Self::start(command)?;
        running.wait_tracing()?;
        Ok(running)
    }

    /// Starts a command.
    pub fn start(mut command: Command) -> Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("start {command:?}"))?;
        let stdout = Lines::of(child.stdout.take().context("stdout")?);
        let stderr = Lines::of(child.stderr.take().context("stderr")?);
        Ok(Self { child, stdout, stderr, objects: Vec::new() })
    }

    /// Waits for the line on standard error that says that all hooks are attached.
    pub fn wait_tracing(&self) -> Result<()> {
        let said = |line: &Line| line.text().contains("tracing");
        let seen = self.stderr.wait(DEADLINE, |lines| lines.iter().any(said).then_some(()));
        seen.with_context(|| format!("tracing did not start: {}", self.stderr.text()))
    }

    /// The pid of the tool.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on standard error so far.
    pub fn stderr_so_far(&self) -> String {
        self.stderr.text()
    }

    /// The objects printed so far.
    pub fn objects_so_far(&mut self) -> Result<&[Value]> {
        for line in self.stdout.after(self.objects.len()) {
            self.objects.push(json(&line)?);
        }
        Ok(&self.objects)
    }

    /// Waits for a `leak` for which `find` has an answer; the latest is asked first.
    pub fn wait_leak<T>(&mut self, what: &str, find: impl Fn(&Value) -> Option<T>) -> Result<T> {
        let found = until(what, || {
            let leaks = self.objects_so_far()?.iter().filter(|object| is_leak(object));
            Ok(leaks.rev().find_map(&find))
        });
        found.with_context(|| format!("standard output:\n{}", self.stdout.text()))
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.child.id() as i32), signal)?)
    }

    /// Ctrl-C, then the rest of its output.
    pub fn interrupt(self) -> Result<Finished> {
        self.signal(Signal::SIGINT)?;
        self.finish(DEADLINE)
    }

    /// Waits for its end, or kills it at the limit.
    pub fn finish(mut self, limit: Duration) -> Result<Finished> {
        let Ok(status) = until_within(limit, "its end", || Ok(self.child.try_wait()?)) else {
            bail!("{limit:?} and no end; standard error: {}", self.stderr.text());
        };
        ensure!(self.stdout.wait_end(DEADLINE), "something still holds standard output");
        ensure!(self.stderr.wait_end(DEADLINE), "something still holds standard error");
        Ok(Finished { status, stdout: self.stdout.all(), stderr: self.stderr.text() })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Where it has ended already, both calls only say so.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

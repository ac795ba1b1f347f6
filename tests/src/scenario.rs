//! A scenario program in a namespace, and the lines it exchanges with the test.

use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::lines::Lines;
use crate::netns::Netns;
use crate::tool::target_dir;
use crate::wait::DEADLINE;

/// The executable of the scenario programs.
pub fn executable() -> Result<PathBuf> {
    Ok(target_dir()?.join("scenario"))
}

/// A running scenario program. It ends when this is dropped, with every process it made.
pub struct Scenario {
    child: Child,
    stdin: Option<ChildStdin>,
    out: Lines,
    label: String,
}

impl Scenario {
    /// Starts the program in a namespace. The child enters it between fork and exec, so its pid
    /// is the program's own.
    pub fn spawn<S: AsRef<OsStr>>(ns: &Netns, args: &[S]) -> Result<Self> {
        let mut command = Command::new(executable()?);
        command.args(args);
        Self::start(ns, command)
    }

    /// Starts another program that talks as the scenario programs do.
    pub fn start(ns: &Netns, mut command: Command) -> Result<Self> {
        let place = ns.open()?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
        // SAFETY: between fork and exec only setns(2) is called, which is async-signal-safe, and
        // on error only the errno is turned into an io::Error, without allocating.
        unsafe {
            command.pre_exec(move || Ok(setns(place.as_fd(), CloneFlags::CLONE_NEWNET)?));
        }
        let label = label(&command);
        let mut child = command.spawn().with_context(|| format!("start {label}"))?;
        let out = Lines::of(child.stdout.take().context("stdout")?);
        let stdin = child.stdin.take();
        Ok(Self { child, stdin, out, label })
    }

    /// The pid of the program.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells it to do something: `finish`, `state`, `close`.
    pub fn tell(&mut self, command: &str) -> Result<()> {
        let stdin = self.stdin.as_mut().context("already told to end")?;
        writeln!(stdin, "{command}").with_context(|| format!("tell {}", self.label))
    }

    /// Waits for the first `key=value` line with this key.
    pub fn fact(&self, key: &str) -> Result<String> {
        self.fact_within(DEADLINE, key)
    }

    /// [`Scenario::fact`] that may take so long.
    pub fn fact_within(&self, limit: Duration, key: &str) -> Result<String> {
        let found =
            self.out.wait(limit, |lines| lines.iter().find_map(|line| value_of(&line.text(), key)));
        match found {
            Some(value) => Ok(value),
            None => bail!("{} did not say {key}; it said:\n{}", self.label, self.out.text()),
        }
    }

    /// [`Scenario::fact`] as a number or an address.
    pub fn parsed<T>(&self, key: &str) -> Result<T>
    where
        T: FromStr,
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let value = self.fact(key)?;
        value.parse().with_context(|| format!("{} said {key}={value}", self.label))
    }

    /// Every value of this key so far.
    pub fn facts(&self, key: &str) -> Vec<String> {
        self.out.all().iter().filter_map(|line| value_of(&line.text(), key)).collect()
    }

    /// Waits until `find` returns something for the values of this key so far.
    pub fn wait_facts<T>(
        &self,
        key: &str,
        mut find: impl FnMut(&[String]) -> Option<T>,
    ) -> Result<T> {
        let found = self.out.wait(DEADLINE, |lines| {
            let values = lines.iter().filter_map(|line| value_of(&line.text(), key));
            find(&values.collect::<Vec<_>>())
        });
        found.with_context(|| {
            format!("{}: no such {key}; it said:\n{}", self.label, self.out.text())
        })
    }

    fn end(&mut self) {
        drop(self.stdin.take());
        // Every process it made shares its stdout and ends with its stdin.
        if !self.out.wait_end(Duration::from_secs(3)) {
            self.kill_group();
        }
        if let Err(error) = self.child.wait() {
            eprintln!("wait for {}: {error}", self.label);
        }
    }

    fn kill_group(&self) {
        eprintln!("{} does not end by itself", self.label);
        // It may be gone by now, which is what is wanted.
        let _ = killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL);
    }
}

impl Drop for Scenario {
    fn drop(&mut self) {
        self.end();
    }
}

/// The command line, for messages.
fn label(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// `key=value`, or the bare word `key`.
fn value_of(line: &str, key: &str) -> Option<String> {
    let rest = line.strip_prefix(key)?;
    if rest.is_empty() { Some(String::new()) } else { Some(rest.strip_prefix('=')?.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_whole_words() {
        assert_eq!(value_of("pid=7", "pid").as_deref(), Some("7"));
        assert_eq!(value_of("ready", "ready").as_deref(), Some(""));
        assert_eq!(value_of("pidfile=7", "pid"), None);
        assert_eq!(value_of("readying", "ready"), None);
    }
}

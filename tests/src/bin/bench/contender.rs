//! What runs beside the load: nothing, an empty program, tcptrace, its peers.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tcptrace_tests::bpf::{self, Object};
use tcptrace_tests::netns::Netns;
use tcptrace_tests::tool;
use tcptrace_tests::wait::until_within;

use crate::empty::Empty;

/// A tracer may compile its programs first.
const READY: Duration = Duration::from_secs(30);
/// From its programs being there to everything being attached.
const SETTLE: Duration = Duration::from_millis(1500);
/// It may have millions of lines to write yet.
const END: Duration = Duration::from_secs(60);

/// How often `ss` is asked.
const POLL: &str = "while :; do ss -Htan > /dev/null; sleep 1; done";
/// Transitions by both states, counted in the kernel.
const BPFTRACE: &str =
    "tracepoint:sock:inet_sock_set_state { @[args->oldstate, args->newstate] = count(); }";

/// What its events are called and how they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Events {
    /// It says so itself, in the summary that ends its output: `events` and what was `lost`.
    Summary,
    /// A line for each transition.
    Lines,
    /// A line for each of the two sockets of a connection.
    Sockets,
    /// It counts or looks, and shows no events.
    None,
}

/// Something that may run beside the load.
#[derive(Clone, Copy, Debug)]
pub struct Contender {
    /// As in the table.
    pub name: &'static str,
    /// How its events are counted.
    pub events: Events,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Nothing,
    Empty,
    /// tcptrace with these arguments.
    Own(&'static [&'static str]),
    /// Another program, which needs tracefs.
    Peer(&'static [&'static str]),
    /// A program that looks at the load's own network namespace.
    Looker(&'static [&'static str]),
}

/// In the order of the table; the first is what the others are compared with.
pub const ALL: [Contender; 10] = [
    Contender { name: "untraced", events: Events::None, kind: Kind::Nothing },
    Contender { name: "an empty program", events: Events::None, kind: Kind::Empty },
    Contender {
        name: "leaks --no-stacks",
        events: Events::Summary,
        kind: Kind::Own(&["leaks", "--no-stacks", "--interval", "1h", "-o", "json"]),
    },
    Contender {
        name: "leaks",
        events: Events::Summary,
        kind: Kind::Own(&["leaks", "--interval", "1h", "-o", "json"]),
    },
    Contender { name: "hist", events: Events::Summary, kind: Kind::Own(&["hist", "-o", "json"]) },
    Contender {
        name: "stream -o json",
        events: Events::Summary,
        kind: Kind::Own(&["stream", "-o", "json"]),
    },
    Contender {
        name: "tcpstates",
        events: Events::Lines,
        kind: Kind::Peer(&["stdbuf", "-oL", "tcpstates"]),
    },
    Contender {
        name: "tcplife",
        events: Events::Sockets,
        kind: Kind::Peer(&["stdbuf", "-oL", "tcplife"]),
    },
    Contender {
        name: "bpftrace, counts",
        events: Events::None,
        kind: Kind::Peer(&["bpftrace", "-e", BPFTRACE]),
    },
    Contender {
        name: "ss each second",
        events: Events::None,
        kind: Kind::Looker(&["sh", "-c", POLL]),
    },
];

/// Those that may run beside the load and whose name begins with one of these; all where there are none.
pub fn named(starts: &[String]) -> impl Iterator<Item = &'static Contender> {
    let is_wanted = |name: &str| {
        starts.is_empty() || starts.iter().any(|start| name.starts_with(start.as_str()))
    };
    ALL[1..].iter().filter(move |contender| is_wanted(contender.name))
}

impl Contender {
    /// Whether its program is installed here.
    pub fn is_installed(&self) -> bool {
        let program = match self.kind {
            Kind::Peer(["stdbuf", _, program]) => program,
            Kind::Peer(line) => line[0],
            Kind::Looker(_) => "ss",
            _ => return true,
        };
        let dirs = std::env::var_os("PATH").unwrap_or_default();
        let mut dirs = std::env::split_paths(&dirs).chain(["/usr/sbin".into(), "/sbin".into()]);
        dirs.any(|dir| dir.join(program).is_file())
    }

    /// Whether it is the empty program.
    pub fn is_empty(&self) -> bool {
        matches!(self.kind, Kind::Empty)
    }

    /// Whether it is tcptrace, in a mode in which the kernel side does its work without a process that
    /// reads what it sends.
    pub fn works_alone(&self) -> bool {
        matches!(self.kind, Kind::Own(["leaks", "--no-stacks", ..] | ["hist", ..]))
    }

    /// Starts it and waits until it traces. Its output goes to a file in `dir`.
    pub fn start(&self, ns: &Netns, dir: &Path) -> Result<Running> {
        let mut command = match self.kind {
            Kind::Nothing => return Ok(Running::Nothing),
            Kind::Empty => return Ok(Running::Empty(Empty::load()?.attach()?)),
            Kind::Own(line) => tool::command(line)?,
            Kind::Peer(line) => with_tracefs(line),
            Kind::Looker(line) => inside(ns, line),
        };
        let stdout = dir.join("stdout");
        command.stdin(Stdio::null()).stdout(File::create(&stdout)?);
        command.stderr(File::create(dir.join("stderr"))?);
        let child = command.spawn().with_context(|| format!("start {command:?}"))?;
        let process = Process { child, stdout };
        if !matches!(self.kind, Kind::Looker(_)) {
            process.wait_ready().with_context(|| self.name)?;
        }
        Ok(Running::Process(process))
    }
}

/// In a mount namespace of its own with tracefs, which stays as it was for everybody else.
fn with_tracefs(line: &[&str]) -> Command {
    let mut command = Command::new("unshare");
    let script = "mount -t tracefs none /sys/kernel/tracing && exec \"$@\"";
    command.args(["-m", "sh", "-c", script, "sh"]).args(line);
    command
}

fn inside(ns: &Netns, line: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command.arg(format!("--net={}", ns.path().display())).args(line);
    command
}

/// A contender that runs.
pub enum Running {
    /// Nothing does.
    Nothing,
    /// An empty program is attached.
    Empty(#[expect(dead_code, reason = "kept for its drop")] OwnedFd),
    /// A process.
    Process(Process),
}

/// A child and where its output goes.
pub struct Process {
    child: Child,
    stdout: PathBuf,
}

/// What a process used from its start to its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Used {
    /// CPU time, user and system.
    pub cpu: Duration,
    /// Largest resident memory, bytes.
    pub memory: u64,
}

impl Process {
    /// Its number.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_ready(&self) -> Result<()> {
        until_within(READY, "its programs", || {
            let held = bpf::held_by(self.pid())?;
            let is_there = held.iter().any(|object| matches!(object, Object::Program(_)));
            Ok(is_there.then_some(()))
        })?;
        std::thread::sleep(SETTLE);
        Ok(())
    }

    /// Ctrl-C, then its end: where its output is, and what it used.
    pub fn stop(mut self) -> Result<(PathBuf, Used)> {
        let pid = Pid::from_raw(self.child.id() as i32);
        kill(pid, Signal::SIGINT)?;
        let limit = Instant::now() + END;
        loop {
            if let Some((status, used)) = reap(pid)? {
                let is_well = status.success() || status.signal() == Some(libc::SIGINT);
                if !is_well {
                    bail!("{} ended with {status}", self.stdout.display());
                }
                return Ok((self.stdout.clone(), used));
            }
            if Instant::now() >= limit {
                self.child.kill()?;
                bail!("it did not end");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// wait4(2), which tells what the child used.
fn reap(pid: Pid) -> Result<Option<(ExitStatus, Used)>> {
    let mut status = 0;
    // SAFETY: a struct of integers, for which zeros are values.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: both outlive the call.
    let done = unsafe { libc::wait4(pid.as_raw(), &mut status, libc::WNOHANG, &mut usage) };
    if nix::errno::Errno::result(done).context("wait4")? == 0 {
        return Ok(None);
    }
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    let cpu = time(usage.ru_utime) + time(usage.ru_stime);
    let used = Used { cpu, memory: usage.ru_maxrss as u64 * 1024 };
    Ok(Some((ExitStatus::from_raw(status), used)))
}

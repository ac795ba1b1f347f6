//! gdb attached to a process: the second opinion on its stacks.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::build::source;
use super::event::{Event, Kind, Ports};
use crate::lines::{Line, Lines};
use crate::wait::{DEADLINE, until_within};

/// How long gdb may take to read symbols of a large program on a busy host.
const ATTACH: Duration = Duration::from_secs(60);
/// How long it may take to let go.
const DETACH: Duration = Duration::from_secs(10);

/// gdb, until this is dropped. The process goes on while nothing happens to its sockets.
pub struct Gdb {
    child: Child,
    out: Lines,
    err: Lines,
}

impl Gdb {
    /// Attaches, and waits until each event will be seen.
    pub fn attach(pid: u32) -> Result<Self> {
        let script: PathBuf = source("gdb_stacks.py");
        let mut command = Command::new("gdb");
        command.args(["-nx", "-q", "-batch", "-iex", "set debuginfod enabled off"]);
        command.args(["-iex", "set auto-load off", "-p", &pid.to_string(), "-x"]).arg(script);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("start gdb (package gdb)")?;
        let out = Lines::of(child.stdout.take().context("stdout")?);
        let err = Lines::of(child.stderr.take().context("stderr")?);
        let gdb = Self { child, out, err };
        let ready = |line: &Line| line.bytes == b"ready";
        let seen = gdb.out.wait(ATTACH, |lines| lines.iter().any(ready).then_some(()));
        seen.with_context(|| format!("gdb does not attach to {pid}:\n{}", gdb.said()))?;
        Ok(gdb)
    }

    /// Waits for one event of one socket.
    pub fn event(&self, kind: Kind, ports: Ports) -> Result<Event> {
        self.find(|event| event.kind == kind && event.ports == ports)
            .with_context(|| format!("gdb saw no {kind:?} of {ports:?}:\n{}", self.said()))
    }

    /// Waits for the `listen()` of a port.
    pub fn listen(&self, port: u16) -> Result<Event> {
        self.event(Kind::Listen, Ports { local: port, remote: 0 })
    }

    fn find(&self, is: impl Fn(&Event) -> bool) -> Option<Event> {
        self.out.wait(DEADLINE, |lines| events(lines).find(&is))
    }

    fn said(&self) -> String {
        self.out.text() + &self.err.text()
    }
}

fn events(lines: &[Line]) -> impl Iterator<Item = Event> + '_ {
    lines.iter().filter_map(|line| Event::parse(&line.text()).ok().flatten())
}

impl Drop for Gdb {
    /// Lets it detach; killed, it would leave its breakpoints in the process.
    fn drop(&mut self) {
        // It may be gone by now, which is what is wanted.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT);
        let child = &mut self.child;
        if until_within(DETACH, "gdb's end", || Ok(child.try_wait()?)).is_err() {
            eprintln!("gdb does not end by itself:\n{}", self.err.text());
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

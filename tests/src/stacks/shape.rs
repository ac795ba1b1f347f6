//! `images.c`: a process that becomes other programs, and what the tool says of its stacks.

use std::path::Path;
use std::process::Command;
use std::{fmt, fs};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::bench;
use super::event::Ports;
use super::peers::Peers;
use crate::netns::NetPair;
use crate::scenario::Scenario;
use crate::tool::Running;
use crate::wait::until;

/// A process that runs a variant of `images.c`, or several in turn.
pub struct Shape<'a> {
    running: Scenario,
    peers: Peers<'a>,
    port: u16,
}

impl<'a> Shape<'a> {
    /// Starts a program in namespace `a`, and it listens.
    pub fn start(pair: &'a NetPair, program: &Path) -> Result<Self> {
        Self::of(pair, Command::new(program))
    }

    /// [`Shape::start`] of a command that runs the program in the end.
    pub fn of(pair: &'a NetPair, command: Command) -> Result<Self> {
        let mut running = Scenario::start(&pair.a, command)?;
        running.fact("ready")?;
        running.tell("listen 0")?;
        let port = running.parsed("port")?;
        Ok(Self { running, peers: Peers::new(pair)?, port })
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    /// Makes it accept by one of the commands that do, and waits until it has.
    pub fn accept(&mut self, how: &str) -> Result<Ports> {
        self.running.tell(how)?;
        self.serve()
    }

    /// [`Shape::accept`], with something done to it while it waits for a peer.
    pub fn accept_after(
        &mut self,
        how: &str,
        before: impl FnOnce() -> Result<()>,
    ) -> Result<Ports> {
        self.running.tell(how)?;
        let call = format!("/proc/{}/syscall", self.pid());
        let accept = format!("{} ", libc::SYS_accept);
        until("accept()", || Ok(fs::read_to_string(&call)?.starts_with(&accept).then_some(())))?;
        before()?;
        self.serve()
    }

    fn serve(&mut self) -> Result<Ports> {
        let ports = self.peers.connect(self.port)?;
        let opened = format!("0 {} {}", ports.local, ports.remote);
        self.running.wait_facts("opened", |all| all.contains(&opened).then_some(()))?;
        Ok(ports)
    }

    /// Makes `paths.js` connect along a path.
    pub fn connect(&mut self, path: u32) -> Result<Ports> {
        let (address, port) = self.peers.address()?;
        self.running.tell(&format!("connect {path} {address} {port}"))?;
        self.peers.accept()
    }

    /// Makes it accept, and run another program at once.
    pub fn accept_and_become(&mut self, program: &Path) -> Result<Ports> {
        let before = self.running.facts("ready").len();
        self.running.tell(&format!("become {}", program.display()))?;
        let ports = self.peers.connect(self.port)?;
        self.running.wait_facts("ready", |all| (all.len() > before).then_some(()))?;
        Ok(ports)
    }

    /// A command that ends in a line `key=value`, or `key` alone; the value.
    pub fn tell(&mut self, command: &str, key: &str) -> Result<String> {
        let before = self.running.facts(key).len();
        self.running.tell(command)?;
        self.running.wait_facts(key, |all| all.get(before).cloned())
    }

    /// Has it run another program.
    pub fn exec(&mut self, program: &Path) -> Result<()> {
        self.tell(&format!("exec {}", program.display()), "ready").map(drop)
    }

    /// Closes all peers, so that what is open leaks.
    pub fn leak(&mut self) {
        self.peers.close_all();
    }
}

/// What the tool says of a socket's open stack.
#[derive(Clone)]
pub struct Told {
    /// `ok` and so on.
    pub status: String,
    /// Why it is not complete.
    pub reason: String,
    /// Names, innermost first; `?` where there is none.
    pub functions: Vec<String>,
    /// The pid of the opener.
    pub opener: Option<u64>,
    /// The stack itself.
    pub stack: Value,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, reason, functions, opener, .. } = self;
        write!(f, "{status} ({reason}), opened by {opener:?}: {functions:?}")
    }
}

impl Told {
    /// Waits for the report of a socket.
    pub fn of(tool: &mut Running, ports: Ports) -> Result<Self> {
        let find = |leak: &Value| bench::is_about(leak, ports).then(|| leak.clone());
        let leak = tool.wait_leak("the socket", find)?;
        let stack = &leak["open_stack"];
        let text = |value: &Value| value.as_str().unwrap_or("?").to_owned();
        let frames = stack["frames"].as_array().context("no frames")?;
        Ok(Self {
            status: text(&stack["status"]),
            reason: stack["reason"].as_str().unwrap_or_default().to_owned(),
            functions: frames.iter().map(|frame| text(&frame["function"])).collect(),
            opener: leak["opener"]["pid"].as_u64(),
            stack: stack.clone(),
        })
    }

    /// Fails unless the stack is complete and these are its functions, from the innermost one
    /// that the program itself has out to `main`.
    pub fn expect(&self, functions: &[&str]) -> Result<()> {
        ensure!(self.status == "ok", "{self:?}");
        let own = self.functions.iter().position(|name| name == functions[0]);
        let own = own.with_context(|| format!("{} is not in {self:?}", functions[0]))?;
        let end = self.functions.iter().position(|name| name == "main");
        let end = end.with_context(|| format!("main is not in {self:?}"))?;
        let found = self.functions.get(own..end).unwrap_or_default();
        ensure!(found == functions, "not {functions:?}: {self:?}");
        Ok(())
    }

    /// Fails where a function is there whose name begins so.
    pub fn expect_none_of(&self, names: &[&str]) -> Result<()> {
        let is_foreign = |function: &&String| names.iter().any(|name| function.starts_with(name));
        let foreign = self.functions.iter().find(is_foreign);
        ensure!(foreign.is_none(), "{foreign:?} in {self:?}");
        Ok(())
    }
}

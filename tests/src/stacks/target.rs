//! A program that opens sockets in chosen call paths and keeps them.

use std::process::Command;

use anyhow::{Context, Result};

use super::event::{Kind, Ports};
use super::peers::Peers;
use super::program::Program;
use crate::netns::NetPair;
use crate::scenario::Scenario;

/// What a target is made to do, and along which path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It accepts a connection.
    Accept(u32),
    /// It connects.
    Connect(u32),
    /// It accepts, the peer closes, it reads end-of-file.
    Eof(u32),
}

/// A running target.
pub trait Target {
    /// The process whose stacks are looked at.
    fn pid(&self) -> u32;

    /// Makes it go one way; every event that comes of it.
    fn go(&mut self, way: Way) -> Result<Vec<(Kind, Ports)>>;

    /// Closes all peers, so that what is open leaks.
    fn leak(&mut self) -> Result<()>;
}

/// A [`Program`] that runs.
pub struct Walker<'a> {
    program: Program,
    running: Scenario,
    peers: Peers<'a>,
    port: u16,
}

impl<'a> Walker<'a> {
    /// Starts it in namespace `a`. It does not listen yet.
    pub fn start(program: Program, pair: &'a NetPair) -> Result<Self> {
        let words = program.command()?;
        let (name, arguments) = words.split_first().context("no command")?;
        let mut command = Command::new(name);
        command.args(arguments);
        let running = Scenario::start(&pair.a, command)?;
        running.fact("ready")?;
        Ok(Self { program, running, peers: Peers::new(pair)?, port: 0 })
    }

    /// [`Walker::start`], and it listens.
    pub fn listening(program: Program, pair: &'a NetPair) -> Result<Self> {
        let mut walker = Self::start(program, pair)?;
        walker.listen(0)?;
        Ok(walker)
    }

    /// Makes it listen along a path; the port.
    pub fn listen(&mut self, path: u32) -> Result<u16> {
        self.running.tell(&format!("listen {path}"))?;
        self.port = self.running.parsed("port")?;
        Ok(self.port)
    }

    /// A connection that it does not accept.
    pub fn queue(&mut self) -> Result<Ports> {
        self.peers.connect(self.port)
    }

    /// Makes it accept once along each path, in all its threads at once. A connection goes to
    /// whichever thread comes first; the ports are in the order of the paths.
    pub fn accept_at_once(&mut self, paths: &[u32]) -> Result<Vec<Ports>> {
        for path in paths {
            self.running.tell(&format!("accept {path}"))?;
        }
        for _ in paths {
            self.peers.connect(self.port)?;
        }
        paths.iter().map(|path| self.opened(*path, |_| true)).collect()
    }

    /// The functions of the last event of a path, innermost first, as the program knows them.
    pub fn trail(&self, path: u32, innermost: &str) -> Result<Vec<String>> {
        let start = format!("{path} {innermost},");
        let trail = self.running.wait_facts("trail", |all| {
            all.iter().rev().find(|trail| trail.starts_with(&start)).cloned()
        })?;
        let names = trail.split_once(' ').context("no names")?.1;
        Ok(names.split(',').map(str::to_owned).collect())
    }

    fn accept(&mut self, path: u32) -> Result<Ports> {
        let told = if self.program.accepts_alone() { 0 } else { path };
        if !self.program.accepts_alone() {
            self.running.tell(&format!("accept {path}"))?;
        }
        let ports = self.peers.connect(self.port)?;
        self.opened(told, |opened| opened == ports)
    }

    fn connect(&mut self, path: u32) -> Result<Ports> {
        let (address, port) = self.peers.address()?;
        self.running.tell(&format!("connect {path} {address} {port}"))?;
        let ports = self.peers.accept()?;
        self.opened(path, |opened| opened == ports)
    }

    fn read_end(&mut self, path: u32, ports: Ports) -> Result<()> {
        let before = self.running.facts("ended").len();
        self.peers.close(ports);
        if !self.program.accepts_alone() {
            self.running.tell(&format!("eof {path}"))?;
        }
        self.running.wait_facts("ended", |all| (all.len() > before).then_some(()))
    }

    /// Waits until it says that it opened such a socket on this path.
    fn opened(&self, path: u32, is: impl Fn(Ports) -> bool) -> Result<Ports> {
        let found = self.running.wait_facts("opened", |all| {
            let mut opened = all.iter().filter_map(|value| parse_opened(value));
            opened.find(|(on, ports)| *on == path && is(*ports))
        })?;
        Ok(found.1)
    }
}

impl Target for Walker<'_> {
    fn pid(&self) -> u32 {
        self.running.pid()
    }

    fn go(&mut self, way: Way) -> Result<Vec<(Kind, Ports)>> {
        Ok(match way {
            Way::Accept(path) => vec![(Kind::Accept, self.accept(path)?)],
            Way::Connect(path) => vec![(Kind::Connect, self.connect(path)?)],
            Way::Eof(path) => {
                let ports = self.accept(path)?;
                self.read_end(path, ports)?;
                vec![(Kind::Accept, ports), (Kind::Eof, ports)]
            }
        })
    }

    fn leak(&mut self) -> Result<()> {
        self.peers.close_all();
        Ok(())
    }
}

/// `PATH LOCAL REMOTE`.
fn parse_opened(value: &str) -> Option<(u32, Ports)> {
    let mut words = value.split(' ');
    let path = words.next()?.parse().ok()?;
    let local = words.next()?.parse().ok()?;
    Some((path, Ports { local, remote: words.next()?.parse().ok()? }))
}

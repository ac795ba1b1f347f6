//! One end of a connection, moved step by step, and when each step was made.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};

use crate::clock::monotonic_ns;
use crate::netns::Netns;
use crate::scenario::Scenario;

/// A step lies between these two moments (`CLOCK_MONOTONIC`, ns).
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Just before it.
    pub from: i64,
    /// Just after it.
    pub to: i64,
}

/// A program that does what it is told.
pub struct Puppet {
    /// The program itself.
    pub scenario: Scenario,
    steps: usize,
}

impl Puppet {
    /// Starts one in a namespace.
    pub fn new(ns: &Netns) -> Result<Self> {
        let scenario = Scenario::spawn(ns, &["puppet"])?;
        scenario.fact("ready")?;
        Ok(Self { scenario, steps: 0 })
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.scenario.pid()
    }

    /// Tells it to do something without waiting for what comes of it.
    pub fn begin(&mut self, command: &str) -> Result<()> {
        self.steps += 1;
        self.scenario.tell(command)
    }

    /// What came of the latest command.
    pub fn answer(&self) -> Result<String> {
        let latest = self.steps - 1;
        self.scenario.wait_facts("step", |steps| steps.get(latest).cloned())
    }

    /// Does something and returns what came of it.
    pub fn ask(&mut self, command: &str) -> Result<String> {
        self.begin(command)?;
        self.answer()
    }

    /// Does something that must succeed, and says when.
    pub fn act(&mut self, command: &str) -> Result<Moment> {
        let from = monotonic_ns();
        let answer = self.ask(command)?;
        ensure!(!answer.starts_with("errno"), "{command}: {answer}");
        Ok(Moment { from, to: monotonic_ns() })
    }

    /// Listens on an address with a port that the kernel picks; returns both.
    pub fn listen(&mut self, address: SocketAddr, backlog: u32) -> Result<SocketAddr> {
        let port = self.ask(&format!("listen {address} {backlog}"))?;
        Ok(SocketAddr::new(address.ip(), port.parse().context("a port")?))
    }

    /// Connects; returns its own address.
    pub fn connect(&mut self, server: SocketAddr) -> Result<SocketAddr> {
        let local = self.ask(&format!("connect {server}"))?;
        local.parse().with_context(|| format!("connect {server}: {local}"))
    }
}

//! A program that does with sockets what a test tells it.

use anyhow::Result;

use crate::netns::Netns;
use crate::scenario::Scenario;

/// The program, and how many commands it was given.
pub struct Actor {
    scenario: Scenario,
    given: usize,
}

impl Actor {
    /// Starts it in a namespace.
    pub fn spawn(ns: &Netns) -> Result<Self> {
        Ok(Self { scenario: Scenario::spawn(ns, &["actor"])?, given: 0 })
    }

    /// Tells it something without waiting for it: an accept() whose connection is still to come.
    pub fn begin(&mut self, command: &str) -> Result<()> {
        self.given += 1;
        self.scenario.tell(command)
    }

    /// Waits until it has done all it was told.
    pub fn wait(&self) -> Result<()> {
        let wanted = self.given.to_string();
        self.scenario.wait_facts("did", |did| did.contains(&wanted).then_some(()))
    }

    /// Tells it something and waits until that is done.
    pub fn tell(&mut self, command: &str) -> Result<()> {
        self.begin(command)?;
        self.wait()
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.scenario.pid()
    }

    /// The pid of the child that it forked last.
    pub fn child(&self) -> Result<u32> {
        self.scenario.wait_facts("child", |pids| pids.last()?.parse().ok())
    }
}

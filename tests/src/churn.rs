//! Many short connections, a few of which the server forgets to close.

use std::time::Duration;

use anyhow::Result;

use crate::netns::NetPair;
use crate::scenario::Scenario;
use crate::wait::until_within;

/// Connections that each [`Churn`] makes.
pub const CONNECTIONS: u64 = 12_000;
const EVERY: u64 = 60;
/// Connections that each [`Churn`] leaves open.
pub const LEAKS: usize = CONNECTIONS.div_ceil(EVERY) as usize;
const LIMIT: Duration = Duration::from_secs(60);

/// A server that forgets some connections, and its clients.
pub struct Churn<'a> {
    pair: &'a NetPair,
    /// The server, in namespace `a`.
    pub server: Scenario,
    client: Option<Scenario>,
}

impl<'a> Churn<'a> {
    /// Starts the server.
    pub fn prepare(pair: &'a NetPair) -> Result<Self> {
        let address = pair.a.v4.to_string();
        let (count, every) = (CONNECTIONS.to_string(), EVERY.to_string());
        // The same port in every namespace, so that addresses alone tell nothing.
        let server = ["churn-server", "--addr", &address, "--port", "7000", "--backlog", "512"];
        let amount = ["--threads", "8", "--count", &count, "--every", &every];
        let server = Scenario::spawn(&pair.a, &[&server[..], &amount].concat())?;
        server.fact("ready")?;
        Ok(Self { pair, server, client: None })
    }

    /// Starts the clients.
    pub fn start(&mut self) -> Result<()> {
        let to = format!("{}:7000", self.pair.a.v4);
        let (count, sources) = (CONNECTIONS.to_string(), NetPair::SOURCES.to_string());
        let client = ["churn-client", "--connect", &to, "--count", &count, "--threads", "4"];
        let client = [&client[..], &["--sources", &sources]].concat();
        self.client = Some(Scenario::spawn(&self.pair.b, &client)?);
        Ok(())
    }

    /// Waits for the end of all connections and returns how many were left open.
    pub fn leaked(&self) -> Result<usize> {
        until_within(LIMIT, "the end of the churn", || {
            Ok(self.server.facts("leaked").first().map(|count| count.parse()).transpose()?)
        })
    }
}

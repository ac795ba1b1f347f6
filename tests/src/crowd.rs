//! Sockets in every state there is, in known numbers.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result};

use crate::actor::Actor;
use crate::netns::{NetPair, Netns};
use crate::ss;
use crate::wait::until;

/// Counts by the kernel's name of the state.
pub type Counts = BTreeMap<String, u64>;

/// Counts as written here.
pub fn counts(of: &[(&str, u64)]) -> Counts {
    of.iter().map(|(state, count)| ((*state).to_owned(), *count)).collect()
}

/// What `ss` counts, in the kernel's spelling.
pub fn by_ss(ns: &Netns) -> Result<Counts> {
    let mut counts = Counts::new();
    for socket in ss::sockets(ns)? {
        let state = match socket.state.as_str() {
            "ESTAB" => "ESTABLISHED".to_owned(),
            "FIN-WAIT-1" => "FIN_WAIT1".to_owned(),
            "FIN-WAIT-2" => "FIN_WAIT2".to_owned(),
            other => other.replace('-', "_"),
        };
        *counts.entry(state).or_default() += 1;
    }
    Ok(counts)
}

/// A server's and a client's namespace with sockets in every state, each by a process of its own.
pub struct Crowd {
    /// The server's namespace and the client's.
    pub pair: NetPair,
    /// The one in the first.
    pub server: Actor,
    /// The one in the second.
    pub client: Actor,
}

/// An address of the client's to which the server's answers get lost, once `Crowd::lose` is
/// called, while its own packets arrive.
pub const DEAF: &str = "10.77.0.3";
/// An address that nobody has; packets to it get lost.
const NOBODY: &str = "10.77.0.99";
/// A station that does not exist.
const NOWHERE: &str = "02:00:00:00:00:99";

impl Crowd {
    /// Both are there, and no socket yet.
    pub fn new() -> Result<Self> {
        let pair = NetPair::new()?;
        pair.b.protect_time_wait()?;
        pair.b.ip(&["address", "add", "10.77.0.3/32", "dev", "veth0"])?;
        pair.b.ip(&["neigh", "add", NOBODY, "lladdr", NOWHERE, "dev", "veth0"])?;
        let (server, client) = (Actor::spawn(&pair.a)?, Actor::spawn(&pair.b)?);
        Ok(Self { pair, server, client })
    }

    /// From now on the server's packets to [`DEAF`] get lost.
    fn lose(&self) -> Result<()> {
        self.pair.a.ip(&["neigh", "replace", DEAF, "lladdr", NOWHERE, "dev", "veth0"])
    }

    fn connect(&mut self, group: &str, count: usize, from: &str) -> Result<()> {
        let to = SocketAddr::new(self.pair.a.v4.into(), 8000);
        self.server.begin(&format!("accept {group} web {count}"))?;
        self.client.tell(&format!("connect {group} {to} {count} from {from}"))?;
        self.server.wait()
    }

    /// Makes all of them.
    pub fn gather(&mut self) -> Result<()> {
        let (a, b) = (self.pair.a.v4, self.pair.b.v4.to_string());
        for (name, port) in [("web", 8000), ("idle", 8001), ("queue", 8002)] {
            self.server.tell(&format!("listen {name} {a}:{port}"))?;
        }
        self.connect("working", 7, &b)?;
        // The server keeps what the client closes, wholly or half.
        self.connect("closed", 5, &b)?;
        self.client.tell("close closed")?;
        self.server.tell("await-close closed")?;
        self.connect("half", 4, &b)?;
        self.client.tell("shutdown half")?;
        self.server.tell("await-close half")?;
        // Both close, the client first.
        self.connect("over", 6, &b)?;
        self.client.tell("close over")?;
        self.server.tell("await-close over")?;
        self.server.tell("close over")?;
        // The client resets what the server keeps.
        self.connect("dead", 2, &b)?;
        self.client.tell("reset dead")?;
        self.client.tell(&format!("connect waiting {a}:8002 3"))?;
        self.gather_deaf()?;
        // Never connected, so of no state that is counted.
        self.server.tell("open fresh 2")
    }

    /// States of a close or a handshake whose packets get lost.
    fn gather_deaf(&mut self) -> Result<()> {
        let a = self.pair.a.v4;
        for (group, count) in [("last", 2), ("first", 1), ("both", 3)] {
            self.connect(group, count, DEAF)?;
        }
        self.client.tell("close last")?;
        self.server.tell("await-close last")?;
        let acknowledged = Self::client_counts().get("FIN_WAIT2").copied();
        until("the acknowledgement of each FIN", || {
            let seen = by_ss(&self.pair.b)?.get("FIN_WAIT2").copied();
            Ok((seen == acknowledged).then_some(()))
        })?;
        self.lose()?;
        self.server.tell("close last")?;
        self.server.tell("close first")?;
        self.server.tell("close both")?;
        self.client.tell("close both")?;
        self.client.tell(&format!("dial half-open {a}:8001 2 from {DEAF}"))?;
        self.client.tell(&format!("dial blackhole {NOBODY}:80 4 from {}", self.pair.b.v4))
    }

    /// What `ss` must see in the server's namespace.
    pub fn server_counts() -> Counts {
        counts(&[
            ("LISTEN", 3),
            // At work, and waiting for accept().
            ("ESTABLISHED", 7 + 3),
            ("CLOSE_WAIT", 5 + 4),
            ("SYN_RECV", 2),
            ("LAST_ACK", 2),
            ("FIN_WAIT1", 1),
            ("CLOSING", 3),
        ])
    }

    /// What `ss` must see in the client's namespace.
    pub fn client_counts() -> Counts {
        counts(&[
            // At work, waiting for accept(), and one that does not hear of the server's close.
            ("ESTABLISHED", 7 + 3 + 1),
            // Mini-sockets of the closed, full sockets of the half-closed, and those whose peer's
            // last FIN gets lost.
            ("FIN_WAIT2", 5 + 4 + 2),
            ("TIME_WAIT", 6),
            ("FIN_WAIT1", 3),
            ("SYN_SENT", 2 + 4),
        ])
    }

    /// Waits until `ss` sees what must be there.
    pub fn settle(&self) -> Result<()> {
        let wanted = [(&self.pair.a, Self::server_counts()), (&self.pair.b, Self::client_counts())];
        for (ns, wanted) in wanted {
            let mut seen = Counts::new();
            until("every socket in its state", || {
                seen = by_ss(ns)?;
                Ok((seen == wanted).then_some(()))
            })
            .with_context(|| format!("{}: {seen:?}, wanted {wanted:?}", ns.name()))?;
        }
        Ok(())
    }
}

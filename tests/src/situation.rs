//! Situations: a server, a client, and the order in which things happen to them.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result, ensure};

use crate::netns::{NetPair, Netns};
use crate::scenario::Scenario;
use crate::ss::{self, Socket};
use crate::wait::until;

/// Which of the two programs has the leak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that listens.
    Server,
    /// The one that connects.
    Client,
}

/// How the two reach one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4 on both sides.
    V4,
    /// IPv6 on both sides.
    V6,
    /// An IPv6 listener that takes IPv4, and an IPv4 client.
    Mapped,
}

/// Two scenario programs, as command lines without addresses.
#[derive(Clone, Copy, Debug)]
pub struct Situation {
    /// Command line of the server.
    pub server: &'static [&'static str],
    /// Command line of the client.
    pub client: &'static [&'static str],
    /// Who has the leak.
    pub leaker: Side,
    /// Connections of the client that come to a proper end, the first ones.
    pub served: usize,
    /// IPv4, IPv6, or both.
    pub family: Family,
}

const CLOSE: &[&str] = &["connect"];
const SEND_CLOSE: &[&str] = &["connect", "--send", "11"];

const fn server(server: &'static [&'static str], client: &'static [&'static str]) -> Situation {
    Situation { server, client, leaker: Side::Server, served: 0, family: Family::V4 }
}

const fn client(client: &'static [&'static str]) -> Situation {
    let server = server(&["close-on-command"], client);
    Situation { leaker: Side::Client, ..server }
}

impl Situation {
    /// The server reads 0 and keeps the socket.
    pub const READ_EOF_KEEP: Self = server(&["read-eof-keep"], SEND_CLOSE);
    /// The server never reads; nothing but the FIN came.
    pub const NEVER_READ: Self = server(&["never-read"], CLOSE);
    /// The server never reads, and probes its peer, which closed its side only and answers.
    pub const KEEPALIVE: Self =
        server(&["never-read", "--keepalive", "1"], &["connect", "--then", "shutdown"]);
    /// The server reads 4 bytes of 11.
    pub const READ_PART: Self = server(&["read-part", "--read", "4"], SEND_CLOSE);
    /// The server reads all bytes and the FIN with them, and never sees a 0.
    pub const READ_LAST: Self = server(&["read-last", "--read", "11"], SEND_CLOSE);
    /// The server sees the end with MSG_PEEK alone.
    pub const PEEK_EOF: Self = server(&["peek-eof"], CLOSE);
    /// The server accepts and reads in a thread with a name of its own.
    pub const THREAD_ACCEPT: Self = server(&["thread-accept"], SEND_CLOSE);
    /// The server's name attacks terminals.
    pub const HOSTILE_COMM: Self = server(&["hostile-comm"], CLOSE);
    /// The server listens and never accepts: three clients in its queue, each with 5 bytes.
    pub const NEVER_ACCEPT: Self =
        server(&["never-accept", "--backlog", "7"], &["connect", "--count", "3", "--send", "5"]);
    /// The server stops to accept after two; two more are in its queue.
    pub const STOP_ACCEPTING: Self = Self {
        served: 2,
        ..server(
            &["stop-accepting", "--accept", "2", "--backlog", "9"],
            &["connect", "--count", "4", "--send", "5"],
        )
    };
    /// A forked child has the socket, the parent closed its own.
    pub const CHILD_INHERITS: Self = server(&["child-inherits"], CLOSE);
    /// The socket was passed to another process over a unix socket.
    pub const PASS_FD: Self = server(&["pass-fd"], CLOSE);
    /// The socket was sent over a unix socket and never received.
    pub const FD_IN_FLIGHT: Self = server(&["fd-in-flight"], CLOSE);
    /// Who accepted is gone, a child has the socket.
    pub const EXIT_OPENER: Self = server(&["exit-opener"], CLOSE);
    /// Who accepted is gone, its pid is another process, a third process has the socket.
    pub const PID_REUSE: Self = server(&["pid-reuse"], CLOSE);
    /// Who accepted is gone, and the process that now has its pid has the socket.
    pub const PID_REUSE_HEIR: Self = server(&["pid-reuse", "--heir", "true"], CLOSE);
    /// Accepted through io_uring.
    pub const URING_ACCEPT: Self = server(&["uring-accept"], CLOSE);
    /// Accepted through a multishot request of io_uring.
    pub const URING_MULTISHOT: Self = server(&["uring-accept", "--multishot", "true"], CLOSE);
    /// Accepted through io_uring into a slot without descriptor.
    pub const URING_FIXED: Self = server(&["uring-fixed"], CLOSE);
    /// The peer resets; the server does not notice.
    pub const RST: Self = server(&["never-read"], &["connect", "--then", "rst"]);
    /// The peer resets; the server reads the error and keeps the socket.
    pub const RST_READ: Self = server(&["rst-read"], &["connect", "--then", "rst"]);
    /// The peer closes its side, then resets.
    pub const RST_AFTER_FIN: Self = server(&["never-read"], &["connect", "--then", "shutdown-rst"]);
    /// The server reads 0, shuts its side down and keeps the socket.
    pub const SHUTDOWN_KEEP: Self = server(&["shutdown-keep"], CLOSE);
    /// The peer closes its side and reads on; the server sends on.
    pub const HALF_CLOSE: Self =
        server(&["half-close"], &["connect", "--then", "shutdown", "--drain", "true"]);
    /// The peer closes its side and reads nothing; the server is blocked in a write.
    pub const SEND_BLOCKED: Self =
        server(&["send-blocked"], &["connect", "--then", "shutdown", "--rcvbuf", "4096"]);
    /// As before, and another thread closed the descriptor meanwhile.
    pub const CLOSE_WHILE_SEND: Self =
        server(&["close-while-send"], &["connect", "--then", "shutdown", "--rcvbuf", "4096"]);
    /// A thread closed the descriptor while another was blocked in a read: no leak in the end.
    pub const CLOSE_WHILE_READ: Self = server(&["close-while-read"], CLOSE);
    /// The client keeps a socket that the server closed.
    pub const CLIENT_LEAK: Self = client(&["client-leak"]);
    /// As before, after it read the end.
    pub const CLIENT_READ: Self = client(&["client-leak", "--read", "true"]);
    /// As before, with a connect that did not wait.
    pub const CLIENT_NONBLOCKING: Self = client(&["client-leak", "--nonblocking", "true"]);
    /// Five connections, each served and closed.
    pub const HEALTHY: Self =
        server(&["healthy", "--count", "5"], &["connect", "--count", "5", "--send", "11"]);

    /// The same situation over other addresses.
    pub const fn over(self, family: Family) -> Self {
        Self { family, ..self }
    }

    /// Starts both programs and lets it happen.
    pub fn stage(self, pair: &NetPair) -> Result<Staged<'_>> {
        let mut staged = self.connect(pair)?;
        staged.finish()?;
        Ok(staged)
    }

    /// Starts both programs, up to the point where they are connected.
    pub fn connect(self, pair: &NetPair) -> Result<Staged<'_>> {
        self.join(pair, self.listen(pair)?)
    }

    /// Starts the server alone.
    pub fn listen(self, pair: &NetPair) -> Result<Scenario> {
        let bind = self.addresses(pair).0.to_string();
        let server = Scenario::spawn(&pair.a, &[self.server, &["--addr", &bind]].concat())?;
        server.fact("ready")?;
        Ok(server)
    }

    /// Starts the client of a server that listens.
    pub fn join(self, pair: &NetPair, server: Scenario) -> Result<Staged<'_>> {
        let reach = self.addresses(pair).1;
        let to = SocketAddr::new(reach, server.parsed("port")?).to_string();
        let client = Scenario::spawn(&pair.b, &[self.client, &["--connect", &to]].concat())?;
        client.fact("ready")?;
        let staged = Staged { situation: self, pair, server, client };
        if staged.says_accepted() {
            staged.server.fact("accepted")?;
        }
        Ok(staged)
    }

    fn addresses(self, pair: &NetPair) -> (IpAddr, IpAddr) {
        match self.family {
            Family::V4 => (pair.a.v4.into(), pair.a.v4.into()),
            Family::V6 => (pair.a.v6.into(), pair.a.v6.into()),
            Family::Mapped => (Ipv6Addr::UNSPECIFIED.into(), pair.a.v4.into()),
        }
    }
}

/// A situation that is there, as long as this lives.
pub struct Staged<'a> {
    /// What was asked for.
    pub situation: Situation,
    pair: &'a NetPair,
    /// The server.
    pub server: Scenario,
    /// The client.
    pub client: Scenario,
}

impl Staged<'_> {
    /// The program that has the leak.
    pub fn leaker(&self) -> &Scenario {
        match self.situation.leaker {
            Side::Server => &self.server,
            Side::Client => &self.client,
        }
    }

    /// [`Staged::leaker`], to give it commands.
    pub fn leaker_mut(&mut self) -> &mut Scenario {
        match self.situation.leaker {
            Side::Server => &mut self.server,
            Side::Client => &mut self.client,
        }
    }

    /// The program that closes first.
    pub fn closer(&self) -> &Scenario {
        match self.situation.leaker {
            Side::Server => &self.client,
            Side::Client => &self.server,
        }
    }

    /// The namespace of the program that has the leak.
    pub fn namespace(&self) -> &Netns {
        match self.situation.leaker {
            Side::Server => &self.pair.a,
            Side::Client => &self.pair.b,
        }
    }

    /// The inode numbers of both namespaces.
    pub fn netns_inodes(&self) -> Result<[u64; 2]> {
        self.pair.inodes()
    }

    /// Local and peer address of each leaked socket, as the leaking side sees them.
    pub fn sockets(&self) -> Result<Vec<(SocketAddr, SocketAddr)>> {
        let (mine, theirs) = match self.situation.leaker {
            Side::Server => ("peer", "local"),
            Side::Client => ("local", "peer"),
        };
        let (mine, theirs) = (self.client.facts(mine), self.client.facts(theirs));
        ensure!(mine.len() == theirs.len(), "half a fact");
        let pairs = mine.iter().zip(&theirs).skip(self.situation.served);
        pairs.map(|(a, b)| Ok((a.parse()?, b.parse()?))).collect()
    }

    /// The first leaked socket's local and peer address.
    pub fn socket(&self) -> Result<(SocketAddr, SocketAddr)> {
        self.sockets()?.first().copied().context("no socket")
    }

    /// The moment at which the sockets became leaks lies between these two (monotonic, ns).
    pub fn entered(&self) -> Result<(i64, i64)> {
        match self.leaker().facts("entering_at").first() {
            Some(from) => Ok((from.parse()?, self.leaker().parsed("entered_at")?)),
            None => Ok((self.closer().parsed("closing_at")?, self.closer().parsed("closed_at")?)),
        }
    }

    /// The (pid, fd) pairs that hold the socket by the programs' own account.
    pub fn holders(&self) -> Result<Vec<(u32, i32)>> {
        let parse = |fact: &String| {
            let (pid, fd) = fact.split_once(':').context("holder=PID:FD")?;
            Ok((pid.parse()?, fd.parse()?))
        };
        self.leaker().facts("holder").iter().map(parse).collect()
    }

    /// Waits until `ss` shows every leaked socket in CLOSE_WAIT, as `ready` wants it.
    pub fn wait_close_wait(&self, ready: impl Fn(&Socket) -> bool) -> Result<Vec<Socket>> {
        let sockets = self.sockets()?;
        until("the sockets in CLOSE_WAIT", || {
            let seen = ss::close_wait(self.namespace())?;
            let find = |&(local, peer): &(SocketAddr, SocketAddr)| {
                let is = |s: &&Socket| (s.local, s.peer) == (Some(local), Some(peer));
                seen.values().find(is).filter(|socket| ready(socket)).cloned()
            };
            Ok(sockets.iter().map(find).collect())
        })
    }

    /// Tells the closing side to close, and waits until the leaking side is as it will stay.
    pub fn finish(&mut self) -> Result<()> {
        match self.situation.leaker {
            Side::Server => self.client.tell("finish")?,
            Side::Client => self.server.tell("finish")?,
        }
        self.closer().fact("closed_at")?;
        self.leaker().fact("leaking")?;
        Ok(())
    }

    /// Servers whose situation is an accepted socket say so; the others have nothing to say.
    fn says_accepted(&self) -> bool {
        let silent = ["never-accept", "stop-accepting", "healthy"];
        !silent.contains(&self.situation.server[0])
    }
}

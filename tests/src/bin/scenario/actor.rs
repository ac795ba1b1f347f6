//! A program that does with sockets what it is told, a group of them at a time.

use std::collections::HashMap;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::resource::{Resource, setrlimit};
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::facts::say;
use crate::{control, fork};

/// Sockets by the name of their group.
#[derive(Default)]
struct Actor {
    listeners: HashMap<String, TcpListener>,
    groups: HashMap<String, Vec<Socket>>,
}

/// Obeys commands, and says `did=N` after the Nth.
pub fn actor() -> Result<()> {
    let mut actor = Actor::default();
    let mut count = 0;
    while let Some(line) = control::next()? {
        let words: Vec<&str> = line.split_whitespace().collect();
        actor.obey(&words).with_context(|| line.clone())?;
        count += 1;
        say("did", count);
    }
    Ok(())
}

impl Actor {
    fn obey(&mut self, words: &[&str]) -> Result<()> {
        match words {
            ["listen", name, address] => self.listen(name, address.parse()?, 256),
            ["listen", name, address, backlog] => {
                self.listen(name, address.parse()?, backlog.parse()?)
            }
            ["limit-files", limit] => {
                let limit = limit.parse()?;
                Ok(setrlimit(Resource::RLIMIT_NOFILE, limit, limit)?)
            }
            ["accept", group, name, count] => self.accept(group, name, count.parse()?),
            ["connect", group, to, count] => self.connect(group, to.parse()?, count.parse()?, None),
            ["connect", group, to, count, "from", from] => {
                self.connect(group, to.parse()?, count.parse()?, Some(from.parse()?))
            }
            ["dial", group, to, count, "from", from] => {
                self.dial(group, to.parse()?, count.parse()?, from.parse()?)
            }
            ["open", group, count] => self.open(group, count.parse()?),
            ["shutdown", group] => self.each(group, |socket| Ok(socket.shutdown(Shutdown::Write)?)),
            ["reset", group] => {
                self.each(group, |socket| {
                    Ok(SockRef::from(socket).set_linger(Some(Duration::ZERO))?)
                })?;
                self.close(group)
            }
            ["await-close", group] => self.each(group, control::wait_peer_close),
            ["close", group] => self.close(group),
            ["fork", name] => {
                say("child", fork::child(name, control::wait_hangup)?);
                Ok(())
            }
            _ => bail!("unknown command"),
        }
    }

    /// `::` also takes IPv4.
    fn listen(&mut self, name: &str, address: SocketAddr, backlog: i32) -> Result<()> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(backlog)?;
        self.listeners.insert(name.to_owned(), socket.into());
        Ok(())
    }

    fn accept(&mut self, group: &str, name: &str, count: usize) -> Result<()> {
        let listener = self.listeners.get(name).context("no such listener")?;
        for _ in 0..count {
            let (stream, _) = listener.accept()?;
            self.groups.entry(group.to_owned()).or_default().push(stream.into());
        }
        Ok(())
    }

    fn connect(
        &mut self,
        group: &str,
        to: SocketAddr,
        count: usize,
        from: Option<IpAddr>,
    ) -> Result<()> {
        for _ in 0..count {
            let socket = match from {
                Some(from) => bound(from)?,
                None => Socket::new(Domain::for_address(to), Type::STREAM, None)?,
            };
            socket.connect(&to.into())?;
            self.add(group, TcpStream::from(socket).into());
        }
        Ok(())
    }

    /// Begins connections that nobody answers.
    fn dial(&mut self, group: &str, to: SocketAddr, count: usize, from: IpAddr) -> Result<()> {
        for _ in 0..count {
            let socket = bound(from)?;
            socket.set_nonblocking(true)?;
            let begun = socket.connect(&to.into());
            let pending = matches!(&begun, Err(e) if e.raw_os_error() == Some(libc::EINPROGRESS));
            ensure!(pending, "the connect did not wait: {begun:?}");
            self.add(group, socket);
        }
        Ok(())
    }

    /// Sockets that are never connected.
    fn open(&mut self, group: &str, count: usize) -> Result<()> {
        for _ in 0..count {
            self.add(group, Socket::new(Domain::IPV4, Type::STREAM, None)?);
        }
        Ok(())
    }

    fn add(&mut self, group: &str, socket: Socket) {
        self.groups.entry(group.to_owned()).or_default().push(socket);
    }

    fn each(&self, group: &str, act: impl Fn(&Socket) -> Result<()>) -> Result<()> {
        self.groups.get(group).context("no such group")?.iter().try_for_each(act)
    }

    fn close(&mut self, group: &str) -> Result<()> {
        self.groups.remove(group).context("no such group").map(drop)
    }
}

fn bound(from: IpAddr) -> Result<Socket> {
    let address = SocketAddr::new(from, 0);
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

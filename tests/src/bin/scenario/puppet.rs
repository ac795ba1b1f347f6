//! One end of a connection that does what the test says, step by step: each command on standard
//! input is answered by a fact `step=…`: what came of it, or `errno N`.

use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, raise};
use nix::sys::wait::waitpid;
use socket2::{Domain, Protocol, Socket, Type};

use crate::args::Args;
use crate::{control, facts, fork, ways};

/// How long a child lives: long enough to be looked up in `/proc`.
const CHILDHOOD: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Puppet {
    listener: Option<Socket>,
    socket: Option<Socket>,
    others: Vec<Socket>,
}

/// Obeys until the test ends.
pub fn obey(_: &Args) -> Result<()> {
    let mut puppet = Puppet::default();
    facts::stage("ready");
    while let Some(line) = control::next()? {
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match puppet.act(&words) {
            Ok(answer) => answer,
            Err(error) => match error.downcast_ref::<std::io::Error>() {
                Some(error) => format!("errno {}", error.raw_os_error().unwrap_or(0)),
                None => return Err(error),
            },
        };
        facts::say("step", answer);
    }
    Ok(())
}

impl Puppet {
    fn act(&mut self, words: &[&str]) -> Result<String> {
        match words {
            ["listen", address, backlog] => self.listen(address.parse()?, backlog.parse()?),
            ["fast-open", queue] => {
                set(self.listener()?, libc::TCP_FASTOPEN, queue.parse()?)?;
                Ok("ok".to_owned())
            }
            ["accept"] => {
                let (socket, peer) = self.listener()?.accept()?;
                self.socket = Some(socket);
                Ok(peer.as_socket().context("no peer")?.to_string())
            }
            ["accept-as-32-bit"] => {
                self.socket = Some(ways::accept_as_32_bit(self.listener()?)?);
                Ok("ok".to_owned())
            }
            ["open", way, address] => {
                let socket = ways::open(way, address.parse()?)?;
                let local = socket.local_addr()?.as_socket().context("no address")?.to_string();
                self.socket = Some(socket);
                Ok(local)
            }
            ["connect", address] => self.connect(address.parse()?, 0),
            ["connect", address, "within", ms] => self.connect(address.parse()?, ms.parse()?),
            ["connect-fast", address, message] => self.connect_fast(address.parse()?, message),
            ["connect-more", address] => {
                let earlier = self.socket.take();
                self.others.extend(earlier);
                self.connect(address.parse()?, 0)
            }
            ["connect-child", address] => {
                let address: SocketAddr = address.parse()?;
                let child = fork::child("child", || {
                    let _connection = std::net::TcpStream::connect(address)?;
                    std::thread::sleep(CHILDHOOD);
                    Ok(())
                })?;
                waitpid(child, None)?;
                Ok(child.to_string())
            }
            ["send", message] => {
                self.socket()?.write_all(message.as_bytes())?;
                Ok(message.len().to_string())
            }
            ["send-bytes", count] => {
                let message = vec![b'm'; count.parse()?];
                self.socket()?.write_all(&message)?;
                Ok(message.len().to_string())
            }
            ["receive", count] => {
                let mut message = vec![0; count.parse()?];
                self.socket()?.read_exact(&mut message)?;
                Ok(message.len().to_string())
            }
            ["receive-end"] => {
                let mut rest = [MaybeUninit::uninit(); 4096];
                while self.socket()?.recv(&mut rest)? > 0 {}
                Ok("ok".to_owned())
            }
            ["shutdown"] => {
                self.socket()?.shutdown(Shutdown::Write)?;
                Ok("ok".to_owned())
            }
            ["close"] => {
                self.socket = None;
                Ok("ok".to_owned())
            }
            ["close-hard"] => {
                self.socket()?.set_linger(Some(Duration::ZERO))?;
                self.socket = None;
                Ok("ok".to_owned())
            }
            ["close-listener"] => {
                self.listener = None;
                Ok("ok".to_owned())
            }
            ["die"] => {
                raise(Signal::SIGKILL)?;
                Ok("alive".to_owned())
            }
            other => bail!("unknown command {other:?}"),
        }
    }

    fn listener(&self) -> Result<&Socket> {
        self.listener.as_ref().context("no listener")
    }

    fn socket(&mut self) -> Result<&mut Socket> {
        self.socket.as_mut().context("no socket")
    }

    /// `::` also takes IPv4.
    fn listen(&mut self, address: SocketAddr, backlog: i32) -> Result<String> {
        let socket = new(address)?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        socket.bind(&address.into())?;
        socket.listen(backlog)?;
        let port = socket.local_addr()?.as_socket().context("no address")?.port();
        self.listener = Some(socket);
        Ok(port.to_string())
    }

    /// Gives up after so many ms without an answer, where that is not 0.
    fn connect(&mut self, address: SocketAddr, give_up_ms: i32) -> Result<String> {
        let socket = new(address)?;
        if give_up_ms > 0 {
            set(&socket, libc::TCP_USER_TIMEOUT, give_up_ms)?;
        }
        let done = socket.connect(&address.into());
        let local = socket.local_addr()?.as_socket().context("no address")?.to_string();
        self.socket = Some(socket);
        done?;
        Ok(local)
    }

    /// TCP Fast Open: the message travels with the SYN.
    fn connect_fast(&mut self, address: SocketAddr, message: &str) -> Result<String> {
        let socket = new(address)?;
        let flags = libc::MSG_FASTOPEN;
        let sent = socket.send_to_with_flags(message.as_bytes(), &address.into(), flags)?;
        self.socket = Some(socket);
        Ok(sent.to_string())
    }
}

fn new(address: SocketAddr) -> std::io::Result<Socket> {
    Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))
}

/// Sets an option of TCP.
pub fn set(socket: &Socket, option: libc::c_int, value: i32) -> std::io::Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: the option takes an int, which lives for the whole call and has the length given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            option,
            (&raw const value).cast(),
            size_of::<i32>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

//! The second opinion: what `ss` says about the TCP sockets of a namespace.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::netns::Netns;

/// One socket as `ss` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    /// The state in the spelling of `ss`: `CLOSE-WAIT`, `ESTAB`, `LISTEN`.
    pub state: String,
    /// Bytes not read yet; a FIN that was not read counts as one.
    pub recv_q: u64,
    /// Bytes that the peer has not acknowledged.
    pub send_q: u64,
    /// The local address, IPv4-mapped ones as IPv4. `None` where it is a wildcard.
    pub local: Option<SocketAddr>,
    /// The peer's address, likewise.
    pub peer: Option<SocketAddr>,
    /// The inode of the socket, 0 as long as nobody accepted it.
    pub inode: u64,
    /// The socket cookie.
    pub cookie: u64,
    /// Milliseconds since the last ACK came.
    pub last_ack_ms: u64,
}

/// All TCP sockets of a namespace, TIME_WAIT included.
pub fn sockets(ns: &Netns) -> Result<Vec<Socket>> {
    let output = Command::new("ss")
        .args(["-N", ns.name(), "-HtanOei"])
        .output()
        .context("start ss (package iproute2)")?;
    ensure!(output.status.success(), "ss -N {} failed: {output:?}", ns.name());
    let text = String::from_utf8(output.stdout)?;
    text.lines().map(|line| parse(line).with_context(|| format!("ss printed {line:?}"))).collect()
}

/// The sockets in CLOSE_WAIT, by cookie.
pub fn close_wait(ns: &Netns) -> Result<BTreeMap<u64, Socket>> {
    let all = sockets(ns)?.into_iter();
    Ok(all.filter(|s| s.state == "CLOSE-WAIT").map(|s| (s.cookie, s)).collect())
}

/// The one socket with this peer that is not a TIME_WAIT remnant.
pub fn by_peer(ns: &Netns, peer: SocketAddr) -> Result<Option<Socket>> {
    let gone = |socket: &Socket| socket.state == "TIME-WAIT";
    Ok(sockets(ns)?.into_iter().find(|s| s.peer == Some(peer) && !gone(s)))
}

fn parse(line: &str) -> Result<Socket> {
    let mut words = line.split_whitespace();
    let mut word = || words.next().context("too few columns");
    let (state, recv_q, send_q) = (word()?.to_owned(), word()?.parse()?, word()?.parse()?);
    let (local, peer) = (endpoint(word()?), endpoint(word()?));
    let rest: Vec<&str> = words.collect();
    let detail = |key: &str| rest.iter().find_map(|word| word.strip_prefix(key));
    let cookie = detail("sk:").context("no cookie: is this iproute2 too old?")?;
    Ok(Socket {
        state,
        recv_q,
        send_q,
        local,
        peer,
        inode: detail("ino:").map_or(Ok(0), str::parse)?,
        cookie: u64::from_str_radix(cookie, 16)?,
        last_ack_ms: detail("lastack:").map_or(Ok(0), str::parse)?,
    })
}

fn endpoint(text: &str) -> Option<SocketAddr> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.split('%').next()?.trim_start_matches('[').trim_end_matches(']');
    let address: IpAddr = host.parse().ok()?;
    Some(SocketAddr::new(address.to_canonical(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_socket_with_unread_data() {
        let line = "CLOSE-WAIT 12 3 [::ffff:127.0.0.1]:4000 [::ffff:127.0.0.1]:55170 ino:17163 \
                    sk:1f cgroup:/x --> ts sack rto:204 lastsnd:772 lastrcv:771 lastack:770";
        let socket = parse(line).unwrap();
        assert_eq!((socket.recv_q, socket.send_q, socket.inode), (12, 3, 17163));
        assert_eq!((socket.cookie, socket.last_ack_ms), (0x1f, 770));
        assert_eq!(socket.peer.unwrap().to_string(), "127.0.0.1:55170");
    }

    #[test]
    fn a_listener_and_a_remnant() {
        let listener = parse("LISTEN 1 5 *:4000 *:* ino:17160 sk:3 v6only:0 <->").unwrap();
        assert_eq!((listener.local, listener.peer), (None, None));
        let line = "FIN-WAIT-2 0 0 [fd77::2]:5 [fd77::1]:4000 timer:(timewait,59sec,0) ino:0 sk:1";
        assert_eq!(parse(line).unwrap().local.unwrap().to_string(), "[fd77::2]:5");
    }
}

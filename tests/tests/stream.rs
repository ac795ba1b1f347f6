//! The lives of connections as `stream` tells them: each sequence of transitions, from both ends,
//! in separate namespaces, with exact dwells, who opened the socket, and how it ended.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use tcptrace_tests::netns::{NetPair, Netns};
use tcptrace_tests::puppet::Puppet;
use tcptrace_tests::stream::{Stream, Which};
use tcptrace_tests::wait::until;

/// How long a socket stays in a state whose dwell is looked at.
const WHILE: Duration = Duration::from_millis(300);

/// A connection whose two ends are puppets, the tool watching since before it began.
struct Scene<'a> {
    pair: &'a NetPair,
    stream: Stream,
    server: Puppet,
    client: Puppet,
    /// Where the server listens, as the client reaches it.
    at: SocketAddr,
    /// The client's end.
    from: SocketAddr,
}

impl<'a> Scene<'a> {
    /// Connected and accepted.
    fn open(pair: &'a NetPair) -> Result<Self> {
        Self::over(pair, pair.a.v4.into(), pair.a.v4.into())
    }

    /// The same, the server listening on `bind`, which the client reaches as `reach`.
    fn over(pair: &'a NetPair, bind: IpAddr, reach: IpAddr) -> Result<Self> {
        let stream = Stream::of(pair)?;
        let (mut server, mut client) = (Puppet::new(&pair.a)?, Puppet::new(&pair.b)?);
        let port = server.listen(SocketAddr::new(bind, 0), 16)?.port();
        let at = SocketAddr::new(reach, port);
        let from = client.connect(at)?;
        let peer: SocketAddr = server.ask("accept")?.parse()?;
        ensure!(peer.ip().to_canonical() == from.ip() && peer.port() == from.port());
        Ok(Self { pair, stream, server, client, at, from })
    }

    fn client_side(&self) -> Result<Which<'static>> {
        Ok(Which::of(&self.pair.b, "active")?.to(self.at))
    }

    fn server_side(&self) -> Result<Which<'static>> {
        Ok(Which::of(&self.pair.a, "passive")?.at(self.at).to(self.from))
    }

    /// The client's life is as said, with its own opener and ends.
    fn client_is(&mut self, states: &str, end: &str) -> Result<()> {
        let life = self.stream.life(&self.client_side()?)?;
        life.expect(states, end)?.expect_ends(self.from, self.at)?;
        life.expect_opener(self.client.pid(), "puppet")?;
        Ok(())
    }

    /// The server's life is as said, with its own opener and ends.
    fn server_is(&mut self, states: &str, end: &str) -> Result<()> {
        let life = self.stream.life(&self.server_side()?)?;
        life.expect(states, end)?.expect_ends(self.at, self.from)?;
        life.expect_opener(self.server.pid(), "puppet")?;
        Ok(())
    }
}

#[test]
fn the_client_closes_first() -> Result<()> {
    let pair = NetPair::new()?;
    let mut scene = Scene::open(&pair)?;
    sleep(WHILE);
    let closed = scene.client.act("close")?;
    sleep(WHILE);
    let answered = scene.server.act("close")?;
    scene.server_is("LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE", "peer-close")?;
    let served = scene.stream.life(&scene.server_side()?)?;
    served.expect_dwell("CLOSE_WAIT", closed, answered)?;
    served.expect_left("CLOSE_WAIT", answered)?;
    let asked = scene.stream.life_up_to(&scene.client_side()?, "TIME_WAIT")?;
    asked.expect_carried_on("CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT")?;
    asked.expect_opener(scene.client.pid(), "puppet")?.expect_ends(scene.from, scene.at)?;
    asked.expect_left("ESTABLISHED", closed)?;
    Ok(())
}

#[test]
fn the_server_closes_first() -> Result<()> {
    let pair = NetPair::new()?;
    let mut scene = Scene::open(&pair)?;
    let closed = scene.server.act("close")?;
    sleep(WHILE);
    let answered = scene.client.act("close")?;
    scene.client_is("CLOSE SYN_SENT ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE", "peer-close")?;
    let asked = scene.stream.life(&scene.client_side()?)?;
    asked.expect_dwell("CLOSE_WAIT", closed, answered)?;
    let served = scene.stream.life_up_to(&scene.server_side()?, "TIME_WAIT")?;
    served.expect_carried_on("LISTEN SYN_RECV ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT")?;
    served.expect_opener(scene.server.pid(), "puppet")?;
    Ok(())
}

#[test]
fn reset_while_established() -> Result<()> {
    let pair = NetPair::new()?;
    let mut scene = Scene::open(&pair)?;
    sleep(WHILE);
    let reset = scene.client.act("close-hard")?;
    scene.client_is("CLOSE SYN_SENT ESTABLISHED CLOSE", "local-reset")?;
    scene.server_is("LISTEN SYN_RECV ESTABLISHED CLOSE", "peer-reset")?;
    let served = scene.stream.life(&scene.server_side()?)?;
    ensure!(served.last()["error"] == 104, "{}", served.last());
    served.expect_left("ESTABLISHED", reset)?;
    Ok(())
}

#[test]
fn reset_after_the_peers_fin() -> Result<()> {
    let pair = NetPair::new()?;
    let mut scene = Scene::open(&pair)?;
    let shut = scene.client.act("shutdown")?;
    sleep(WHILE);
    let reset = scene.client.act("close-hard")?;
    scene.server_is("LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT CLOSE", "peer-reset")?;
    let served = scene.stream.life(&scene.server_side()?)?;
    ensure!(served.last()["error"] == 32, "{}", served.last());
    served.expect_dwell("CLOSE_WAIT", shut, reset)?;
    Ok(())
}

#[test]
fn closed_with_unread_data_after_the_peers_fin() -> Result<()> {
    let pair = NetPair::new()?;
    let mut scene = Scene::open(&pair)?;
    scene.client.act("send hello")?;
    let closed = scene.client.act("close")?;
    sleep(WHILE);
    let reset = scene.server.act("close")?;
    scene.server_is("LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT CLOSE", "local-reset")?;
    let served = scene.stream.life(&scene.server_side()?)?;
    served.expect_dwell("CLOSE_WAIT", closed, reset)?;
    Ok(())
}

#[test]
fn closed_with_unread_data() -> Result<()> {
    let pair = NetPair::new()?;
    let mut scene = Scene::open(&pair)?;
    scene.client.act("send hello")?;
    sleep(WHILE);
    scene.server.act("close")?;
    scene.server_is("LISTEN SYN_RECV ESTABLISHED CLOSE", "local-reset")?;
    scene.client_is("CLOSE SYN_SENT ESTABLISHED CLOSE", "peer-reset")
}

#[test]
fn refused() -> Result<()> {
    let pair = NetPair::new()?;
    let mut stream = Stream::of(&pair)?;
    let mut client = Puppet::new(&pair.b)?;
    let at = SocketAddr::new(pair.a.v4.into(), 9);
    ensure!(client.ask(&format!("connect {at}"))? == "errno 111");
    let life = stream.life(&Which::of(&pair.b, "active")?.to(at))?;
    life.expect("CLOSE SYN_SENT CLOSE", "refused")?.expect_opener(client.pid(), "puppet")?;
    ensure!(life.last()["error"] == 111 && !life.last()["local_port"].is_null(), "{life:?}");
    Ok(())
}

fn ip(ns: &Netns, args: &[&str]) -> Result<()> {
    let status = Command::new("ip").args(["-n", ns.name()]).args(args).status()?;
    ensure!(status.success(), "ip {args:?}: {status}");
    Ok(())
}

/// Nobody has the neighbour's address, and the SYN is lost.
#[test]
fn no_answer() -> Result<()> {
    let pair = NetPair::new()?;
    ip(&pair.b, &["neighbour", "add", "10.77.0.9", "lladdr", "02:00:00:00:00:09", "dev", "veth0"])?;
    let mut stream = Stream::of(&pair)?;
    let mut client = Puppet::new(&pair.b)?;
    let at: SocketAddr = "10.77.0.9:80".parse()?;
    ensure!(client.ask(&format!("connect {at} within 500"))? == "errno 110");
    let life = stream.life(&Which::of(&pair.b, "active")?.to(at))?;
    life.expect("CLOSE SYN_SENT CLOSE", "timeout")?.expect_opener(client.pid(), "puppet")?;
    let dwell = life.leaving("SYN_SENT")?["dwell_ns"].as_u64();
    ensure!(dwell >= Some(500_000_000), "{life:?}");
    Ok(())
}

/// Nobody answers who has the address: the kernel itself says that there is no way.
#[test]
fn no_way() -> Result<()> {
    let pair = NetPair::new()?;
    let mut stream = Stream::of(&pair)?;
    let mut client = Puppet::new(&pair.b)?;
    let at: SocketAddr = "10.77.0.8:80".parse()?;
    ensure!(client.ask(&format!("connect {at}"))? == "errno 113");
    let life = stream.life(&Which::of(&pair.b, "active")?.to(at))?;
    life.expect("CLOSE SYN_SENT CLOSE", "unreachable")?.expect_opener(client.pid(), "puppet")?;
    Ok(())
}

/// Two connections wait for accept(), one of them closed by its client; then the listener goes.
#[test]
fn a_listener_goes_with_those_who_wait() -> Result<()> {
    let pair = NetPair::new()?;
    let mut stream = Stream::of(&pair)?;
    let (mut server, mut client) = (Puppet::new(&pair.a)?, Puppet::new(&pair.b)?);
    let at = server.listen(SocketAddr::new(pair.a.v4.into(), 0), 16)?;
    let first = client.connect(at)?;
    client.act("close")?;
    let second: SocketAddr = client.ask(&format!("connect-more {at}"))?.parse()?;
    sleep(WHILE);
    server.act("close-listener")?;
    let waiting = |from| Ok::<_, anyhow::Error>(Which::of(&pair.a, "passive")?.at(at).to(from));
    let closed = stream.life(&waiting(first)?)?;
    closed.expect("LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT CLOSE", "listener-closed")?;
    closed.expect_nobody()?;
    let open = stream.life(&waiting(second)?)?;
    open.expect("LISTEN SYN_RECV ESTABLISHED CLOSE", "listener-closed")?.expect_nobody()?;
    let listener = stream.life(&Which::of(&pair.a, "listener")?.at(at))?;
    listener.expect("CLOSE LISTEN CLOSE", "local-close")?;
    listener.expect_opener(server.pid(), "puppet")?;
    ensure!(listener.last()["remote_addr"].is_null() && listener.last()["remote_port"].is_null());
    let asked = stream.life(&Which::of(&pair.b, "active")?.at(second))?;
    asked.expect("CLOSE SYN_SENT ESTABLISHED CLOSE", "peer-reset")?;
    Ok(())
}

#[test]
fn fin_before_accept() -> Result<()> {
    let pair = NetPair::new()?;
    let mut stream = Stream::of(&pair)?;
    let (mut server, mut client) = (Puppet::new(&pair.a)?, Puppet::new(&pair.b)?);
    let at = server.listen(SocketAddr::new(pair.a.v4.into(), 0), 16)?;
    let from = client.connect(at)?;
    let closed = client.act("close")?;
    sleep(WHILE);
    server.act("accept")?;
    let answered = server.act("close")?;
    let life = stream.life(&Which::of(&pair.a, "passive")?.at(at).to(from))?;
    life.expect("LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE", "peer-close")?;
    life.expect_opener(server.pid(), "puppet")?.expect_dwell("CLOSE_WAIT", closed, answered)?;
    let early =
        life.lines().iter().filter(|line| line["to"] != "LAST_ACK" && line["to"] != "CLOSE");
    for line in early {
        ensure!(line["pid"].is_null(), "nobody had accepted it: {line}");
    }
    Ok(())
}

/// A socket that is shut down and not closed stays a full socket in FIN_WAIT2.
#[test]
fn half_closed_by_shutdown() -> Result<()> {
    let pair = NetPair::new()?;
    let mut scene = Scene::open(&pair)?;
    let shut = scene.client.act("shutdown")?;
    sleep(WHILE);
    let closed = scene.server.act("close")?;
    scene.server_is("LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE", "peer-close")?;
    let asked = scene.stream.life_up_to(&scene.client_side()?, "TIME_WAIT")?;
    asked.expect_carried_on("CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT")?;
    asked.expect_dwell("FIN_WAIT2", shut, closed)?;
    Ok(())
}

/// The descriptor stays open; the connection is over all the same.
#[test]
fn shut_down_after_the_peers_fin() -> Result<()> {
    let pair = NetPair::new()?;
    let mut scene = Scene::open(&pair)?;
    scene.client.act("close")?;
    let shut = scene.server.act("shutdown")?;
    scene.server_is("LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE", "peer-close")?;
    scene.stream.life(&scene.server_side()?)?.expect_left("CLOSE_WAIT", shut)?;
    Ok(())
}

/// `ss -K`: needs CONFIG_INET_DIAG_DESTROY, and says nothing where it does nothing.
#[test]
fn aborted_from_outside() -> Result<()> {
    let pair = NetPair::new()?;
    let mut scene = Scene::open(&pair)?;
    let port = scene.from.port().to_string();
    let filter = ["-N", pair.b.name(), "-HKtn", "sport", "=", &port];
    let output = Command::new("ss").args(filter).output()?;
    if output.stdout.is_empty() {
        eprintln!("skipped: this kernel has no CONFIG_INET_DIAG_DESTROY");
        return Ok(());
    }
    scene.client_is("CLOSE SYN_SENT ESTABLISHED CLOSE", "aborted")?;
    scene.server_is("LISTEN SYN_RECV ESTABLISHED CLOSE", "peer-reset")?;
    let asked = scene.stream.life(&scene.client_side()?)?;
    ensure!(asked.last()["error"] == 103, "{}", asked.last());
    Ok(())
}

/// The kernel closes for a process that was killed; who opened the socket stays known.
#[test]
fn killed() -> Result<()> {
    let pair = NetPair::new()?;
    let mut scene = Scene::open(&pair)?;
    scene.client.begin("die")?;
    scene.stream.life_up_to(&scene.client_side()?, "FIN_WAIT2")?;
    scene.server.act("close")?;
    let asked = scene.stream.life_up_to(&scene.client_side()?, "TIME_WAIT")?;
    asked.expect_carried_on("CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT")?;
    asked.expect_opener(scene.client.pid(), "puppet")?;
    scene.server_is("LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE", "peer-close")
}

/// A cable that takes one full packet at once, and 250 bytes a second after it.
fn slow_down(ns: &Netns) -> Result<()> {
    let slow = ["qdisc", "add", "dev", "veth0", "root", "tbf", "rate", "2kbit"];
    let args = [&slow[..], &["burst", "1540", "limit", "20000"]].concat();
    let status = Command::new("tc").args(["-n", ns.name()]).args(args).status()?;
    ensure!(status.success(), "tc: {status}");
    Ok(())
}

/// Lets both sides close, each while its cable is busy for another tenth of a second. Whether the
/// FINs really crossed.
fn both_close(scene: &mut Scene<'_>) -> Result<bool> {
    scene.pair.both().into_iter().try_for_each(slow_down)?;
    // These use up what the cables take at once.
    scene.client.act("send-bytes 1440")?;
    scene.server.act("send-bytes 1440")?;
    scene.client.act("receive 1440")?;
    scene.server.act("receive 1440")?;
    scene.client.begin("close")?;
    scene.server.begin("close")?;
    let (client, server) = (scene.client_side()?, scene.server_side()?);
    let lives = [&client, &server].map(|side| scene.stream.life_up_to(side, "TIME_WAIT"));
    let lives = lives.into_iter().collect::<Result<Vec<_>>>()?;
    if !lives.iter().all(|life| life.states().contains(&"CLOSING")) {
        return Ok(false);
    }
    lives[0].expect_carried_on("CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 CLOSING TIME_WAIT")?;
    lives[1].expect_carried_on("LISTEN SYN_RECV ESTABLISHED FIN_WAIT1 CLOSING TIME_WAIT")?;
    Ok(true)
}

/// Both FINs are on their way at the same time. On a busy host one may be too late; then again.
#[test]
fn closed_by_both_at_the_same_time() -> Result<()> {
    for _ in 0..5 {
        let pair = NetPair::new()?;
        if both_close(&mut Scene::open(&pair)?)? {
            return Ok(());
        }
    }
    anyhow::bail!("in five attempts the FINs never crossed")
}

#[test]
fn over_ipv6() -> Result<()> {
    let pair = NetPair::new()?;
    let mut scene = Scene::over(&pair, pair.a.v6.into(), pair.a.v6.into())?;
    scene.client.act("close")?;
    scene.server.act("close")?;
    scene.server_is("LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE", "peer-close")?;
    let life = scene.stream.life_up_to(&scene.client_side()?, "TIME_WAIT")?;
    life.expect_carried_on("CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT")?;
    life.expect_ends(scene.from, scene.at)?;
    ensure!(life.last()["family"] == "ipv6");
    Ok(())
}

/// An IPv6 listener takes an IPv4 client: both are printed as IPv4.
#[test]
fn over_mapped_ipv4() -> Result<()> {
    let pair = NetPair::new()?;
    let mut scene = Scene::over(&pair, Ipv6Addr::UNSPECIFIED.into(), pair.a.v4.into())?;
    scene.client.act("close")?;
    scene.server.act("close")?;
    scene.server_is("LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE", "peer-close")?;
    let life = scene.stream.life(&scene.server_side()?)?;
    ensure!(life.lines().iter().all(|line| line["family"] == "ipv4"), "{life:?}");
    Ok(())
}

/// Data travels with the SYN, and accept() may come before the handshake is complete.
#[test]
fn fast_open() -> Result<()> {
    let pair = NetPair::new()?;
    for ns in pair.both() {
        // Client and server, both without cookies.
        ns.set("net.ipv4.tcp_fastopen", "519")?;
    }
    let mut stream = Stream::of(&pair)?;
    let (mut server, mut client) = (Puppet::new(&pair.a)?, Puppet::new(&pair.b)?);
    let at = server.listen(SocketAddr::new(pair.a.v4.into(), 0), 16)?;
    server.act("fast-open 16")?;
    ensure!(client.ask(&format!("connect-fast {at} hello"))? == "5");
    server.act("accept")?;
    server.act("receive 5")?;
    client.act("close")?;
    server.act("close")?;
    let served = stream.life(&Which::of(&pair.a, "passive")?.at(at))?;
    served.expect("LISTEN SYN_RECV ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE", "peer-close")?;
    served.expect_opener(server.pid(), "puppet")?;
    let asked = stream.life_up_to(&Which::of(&pair.b, "active")?.to(at), "TIME_WAIT")?;
    asked.expect_carried_on("CLOSE SYN_SENT ESTABLISHED FIN_WAIT1 FIN_WAIT2 TIME_WAIT")?;
    asked.expect_opener(client.pid(), "puppet")?;
    Ok(())
}

/// Two fit into the queue of a backlog of one. What knocks and is not let in has no socket yet:
/// nothing is made up for it.
#[test]
fn a_full_backlog() -> Result<()> {
    let pair = NetPair::new()?;
    let mut stream = Stream::of(&pair)?;
    let (mut server, mut client) = (Puppet::new(&pair.a)?, Puppet::new(&pair.b)?);
    let at = server.listen(SocketAddr::new(pair.a.v4.into(), 0), 1)?;
    client.connect(at)?;
    client.ask(&format!("connect-more {at}"))?;
    let third = client.ask(&format!("connect-more {at}"));
    // It connects as far as the client can tell, or gets no answer within the test's patience.
    drop(third);
    let children = until("both children", || {
        let children: Vec<_> = stream
            .so_far()?
            .into_iter()
            .filter(|line| line["role"] == "passive" && line["to"] == "ESTABLISHED")
            .collect();
        Ok((children.len() >= 2).then_some(children))
    })?;
    for child in &children {
        ensure!(child["pid"].is_null() && child["from"] == "SYN_RECV", "{child}");
    }
    server.act("accept")?;
    let seen = stream.finish()?.objects()?;
    let states = seen.iter().flat_map(|line| [&line["from"], &line["to"]]);
    ensure!(states.into_iter().all(|state| state != "NEW_SYN_RECV"), "a request was made up");
    Ok(())
}

/// Descriptors are handed to children at fork(); the opener is who connected, and so is a child
/// that does so itself.
#[test]
fn a_child_opens_its_own() -> Result<()> {
    let pair = NetPair::new()?;
    let mut scene = Scene::open(&pair)?;
    let at = scene.at;
    let child: u32 = scene.client.ask(&format!("connect-child {at}"))?.parse()?;
    let from = scene.server.ask("accept")?.parse()?;
    let which = Which::of(&pair.b, "active")?.at(from).to(at);
    let life = scene.stream.life_up_to(&which, "FIN_WAIT2")?;
    life.expect_opener(child, "child")?;
    Ok(())
}

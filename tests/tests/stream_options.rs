//! `stream` as a program: filters, formats, signals, closed pipes, and losses that are told.

use std::io::{BufRead, BufReader, pipe};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::puppet::Puppet;
use tcptrace_tests::scenario::Scenario;
use tcptrace_tests::stream::Stream;
use tcptrace_tests::tool::{self, Finished, Running};
use tcptrace_tests::wait::{DEADLINE, until};

/// A server and a client that connect, and close one after the other, `times` times.
struct Traffic {
    server: Puppet,
    client: Puppet,
    at: SocketAddr,
}

impl Traffic {
    fn new(pair: &NetPair) -> Result<Self> {
        let (mut server, client) = (Puppet::new(&pair.a)?, Puppet::new(&pair.b)?);
        let at = server.listen(SocketAddr::new(pair.a.v4.into(), 0), 16)?;
        Ok(Self { server, client, at })
    }

    /// One connection from its beginning to its end; returns the client's end of it.
    fn once(&mut self) -> Result<SocketAddr> {
        let from = self.client.connect(self.at)?;
        self.server.act("accept")?;
        self.client.act("close")?;
        self.server.act("receive-end")?;
        self.server.act("close")?;
        Ok(from)
    }
}

fn transitions(finished: &Finished) -> Result<Vec<Value>> {
    let objects = finished.objects()?.into_iter();
    Ok(objects.filter(|object| object["type"] == "transition").collect())
}

/// What a run with these options shows of one connection.
fn shown(pair: &NetPair, traffic: &mut Traffic, options: &[&str]) -> Result<Vec<Value>> {
    let place = pair.a.path().display().to_string();
    let other = pair.b.path().display().to_string();
    let fixed = ["--netns", place.as_str(), "--netns", other.as_str()];
    let stream = Stream::with(&[&fixed[..], options].concat())?;
    traffic.once()?;
    let finished = stream.finish()?;
    let shown = transitions(&finished)?;
    ensure!(finished.summary()?["shown"] == shown.len(), "{:?}", finished.summary()?);
    Ok(shown)
}

#[test]
fn filters_by_process() -> Result<()> {
    let pair = NetPair::new()?;
    let mut traffic = Traffic::new(&pair)?;
    let pid = traffic.client.pid().to_string();
    let own = shown(&pair, &mut traffic, &["-p", &pid])?;
    ensure!(own.len() >= 4, "{own:?}");
    ensure!(own.iter().all(|line| line["pid"] == traffic.client.pid()), "{own:?}");
    ensure!(own.iter().all(|line| line["role"] == "active"), "{own:?}");
    let named = shown(&pair, &mut traffic, &["-c", "pup*"])?;
    ensure!(named.iter().any(|line| line["pid"] == traffic.server.pid()), "{named:?}");
    ensure!(named.iter().all(|line| line["comm"] == "puppet"), "{named:?}");
    ensure!(shown(&pair, &mut traffic, &["-c", "nginx"])?.is_empty());
    Ok(())
}

/// A connection that was there before: nobody saw who opened it, but somebody holds it.
#[test]
fn filters_by_process_know_who_held_a_socket_before() -> Result<()> {
    let pair = NetPair::new()?;
    let mut traffic = Traffic::new(&pair)?;
    let (pid, netns) = (traffic.server.pid().to_string(), pair.a.inode()?);
    for options in [["-p", &pid], ["-c", "pup*"], ["-c", "nginx"]] {
        traffic.client.connect(traffic.at)?;
        traffic.server.act("accept")?;
        let stream = Stream::with(&options)?;
        traffic.client.act("close")?;
        traffic.server.act("receive-end")?;
        traffic.server.act("close")?;
        let lines = transitions(&stream.finish()?)?;
        let here = lines.iter().filter(|line| line["netns"] == netns);
        let moves: Vec<_> = here.map(|line| (&line["from"], &line["to"], &line["pid"])).collect();
        let wanted = options[1] != "nginx";
        let closes = |(from, to, pid): &(&Value, &Value, &Value)| {
            *from == "ESTABLISHED" && *to == "CLOSE_WAIT" && pid.is_null()
        };
        ensure!(moves.iter().any(closes) == wanted, "{options:?}: {lines:?}");
        ensure!(moves.len() >= 3 || !wanted, "{options:?}: {lines:?}");
        let others = lines.iter().filter(|line| line["netns"] != netns).count();
        ensure!(options[0] != "-p" || others == 0, "the client's are not the server's: {lines:?}");
    }
    Ok(())
}

#[test]
fn filters_by_place() -> Result<()> {
    let pair = NetPair::new()?;
    let mut traffic = Traffic::new(&pair)?;
    let port = traffic.at.port().to_string();
    let is_servers = |line: &Value| line["role"] == "passive";
    for options in [["-L", &port], ["--local", "10.77.0.1"], ["--remote", "10.77.0.2/32"]] {
        let lines = shown(&pair, &mut traffic, &options)?;
        ensure!(lines.len() >= 4 && lines.iter().all(is_servers), "{options:?}: {lines:?}");
    }
    let lines = shown(&pair, &mut traffic, &["-D", &port])?;
    ensure!(lines.len() >= 4 && !lines.iter().any(is_servers), "{lines:?}");
    ensure!(shown(&pair, &mut traffic, &["-6"])?.is_empty());
    ensure!(shown(&pair, &mut traffic, &["-4"])?.len() >= 8);
    let mut stream = Stream::with(&["--netns", &format!("pid:{}", traffic.server.pid())])?;
    traffic.once()?;
    let netns = pair.a.inode()?;
    until("the server's end", || {
        let lines = stream.so_far()?;
        ensure!(lines.iter().all(|line| line["netns"] == netns), "{lines:?}");
        Ok(lines.iter().any(|line| line["end"] == "peer-close").then_some(()))
    })
}

#[test]
fn filters_by_state() -> Result<()> {
    let pair = NetPair::new()?;
    let mut traffic = Traffic::new(&pair)?;
    let lines = shown(&pair, &mut traffic, &["-s", "close-wait"])?;
    let moves: Vec<_> = lines.iter().map(|line| (&line["from"], &line["to"])).collect();
    ensure!(moves.len() == 2, "{lines:?}");
    ensure!(moves[0].1 == "CLOSE_WAIT" && moves[1].0 == "CLOSE_WAIT", "{lines:?}");
    let lines = shown(&pair, &mut traffic, &["-s", "LAST_ACK,fin-wait-1"])?;
    ensure!(lines.len() == 4, "{lines:?}");
    Ok(())
}

#[test]
fn children_count_when_asked_for() -> Result<()> {
    let pair = NetPair::new()?;
    let mut traffic = Traffic::new(&pair)?;
    let (pid, at) = (traffic.client.pid().to_string(), traffic.at);
    for (options, follows) in [(vec!["-p", &pid], false), (vec!["-p", &pid, "--children"], true)] {
        let stream = Stream::with(&options)?;
        let child: u32 = traffic.client.ask(&format!("connect-child {at}"))?.parse()?;
        traffic.server.act("accept")?;
        traffic.server.act("close")?;
        let lines = transitions(&stream.finish()?)?;
        ensure!(lines.iter().any(|line| line["pid"] == child) == follows, "{lines:?}");
    }
    Ok(())
}

#[test]
fn a_place_of_a_process_is_looked_up() -> Result<()> {
    let pair = NetPair::new()?;
    let mut traffic = Traffic::new(&pair)?;
    let pid = traffic.client.pid().to_string();
    let all = shown(&pair, &mut traffic, &["-p", &pid, "--cgroup", "/*"])?;
    ensure!(all.len() >= 4, "{all:?}");
    ensure!(shown(&pair, &mut traffic, &["--cgroup", "/no/such*"])?.is_empty());
    ensure!(shown(&pair, &mut traffic, &["--container", "ffffffffffff"])?.is_empty());
    Ok(())
}

/// The table fits, has one header, and shows the same transitions.
#[test]
fn the_table_fits() -> Result<()> {
    let pair = NetPair::new()?;
    let mut traffic = Traffic::new(&pair)?;
    for (options, limit) in [(vec![], 100), (vec!["--time", "relative"], 100), (vec!["-w"], 1000)] {
        let place = pair.a.path().display().to_string();
        let mut command = tool::command(&["stream", "--netns", &place])?;
        command.args(&options);
        let running = Running::start(command)?;
        running.wait_tracing()?;
        let from = traffic.once()?;
        let finished = running.interrupt()?.expect_code(0)?;
        let lines: Vec<String> = finished.stdout.iter().map(|line| line.text()).collect();
        let headers = lines.iter().filter(|line| line.contains("LADDR:LPORT")).count();
        ensure!(headers == 1 && lines[0].contains("COMM"), "{lines:?}");
        ensure!(lines.iter().all(|line| line.chars().count() <= limit), "{lines:?}");
        let end = lines.iter().find(|line| line.contains("LAST_ACK → CLOSE peer-close"));
        let end = end.with_context(|| format!("{lines:?}"))?;
        for part in [from.to_string(), traffic.at.to_string(), traffic.server.pid().to_string()] {
            ensure!(end.contains(&part), "no {part}: {end}");
        }
        ensure!(finished.stderr.contains("transitions shown"), "{}", finished.stderr);
    }
    Ok(())
}

/// A person sees an event when it happens, not when a block is full.
#[test]
fn an_event_is_shown_at_once() -> Result<()> {
    let pair = NetPair::new()?;
    let mut traffic = Traffic::new(&pair)?;
    let mut stream = Stream::of(&pair)?;
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(200));
        let before = stream.so_far()?.len();
        traffic.client.connect(traffic.at)?;
        let limit = Duration::from_millis(500);
        tcptrace_tests::wait::until_within(limit, "the event", || {
            Ok((stream.so_far()?.len() > before).then_some(()))
        })?;
    }
    Ok(())
}

#[test]
fn duration_ends_it_with_a_summary() -> Result<()> {
    let command = tool::command(&["stream", "-o", "json", "--duration", "500ms"])?;
    let summary = tool::run(command)?.expect_code(0)?.summary()?;
    ensure!(summary["command"] == "stream", "{summary}");
    let traced = summary["traced_ns"].as_u64().context("no traced_ns")?;
    ensure!((500_000_000..20_000_000_000).contains(&traced), "{summary}");
    ensure!(summary["lost"]["ring_full"] == 0 && summary["odd"] == 0, "{summary}");
    ensure!(summary["lost"]["record_damaged"] == 0, "{summary}");
    Ok(())
}

/// `tcptrace stream | head -1`: success, at the next event.
#[test]
fn a_closed_pipe_is_success() -> Result<()> {
    let pair = NetPair::new()?;
    let mut traffic = Traffic::new(&pair)?;
    for format in ["json", "table"] {
        let (reader, writer) = pipe()?;
        let place = pair.a.path().display().to_string();
        let mut command = tool::command(&["stream", "-o", format, "--netns", &place])?;
        let mut child = command.stdout(writer).stderr(Stdio::piped()).spawn()?;
        let mut stderr = BufReader::new(child.stderr.take().context("stderr")?).lines();
        ensure!(stderr.any(|line| line.is_ok_and(|line| line.contains("tracing"))));
        traffic.once()?;
        let mut first = String::new();
        BufReader::new(reader).read_line(&mut first)?;
        let status = until("its end", || {
            traffic.once()?;
            Ok(child.try_wait()?)
        });
        let _ = child.kill();
        let _ = child.wait();
        ensure!(status?.code() == Some(0) && !first.is_empty(), "{format}");
    }
    Ok(())
}

/// A ring of one page that nobody empties: what did not fit is counted, told while it goes on and
/// at the end, and what arrives is right.
#[test]
fn losses_are_counted_and_told() -> Result<()> {
    const CONNECTIONS: &str = "2000";
    let pair = NetPair::new()?;
    let mut stream = Stream::with(&["--ring-size", "4096"])?;
    stream.running().signal(Signal::SIGSTOP)?;
    let bind = pair.a.v4.to_string();
    let server = ["churn-server", "--addr", &bind, "--count", CONNECTIONS, "--every", "100000"];
    let server = Scenario::spawn(&pair.a, &server)?;
    server.fact("ready")?;
    let to = SocketAddr::new(pair.a.v4.into(), server.parsed("port")?).to_string();
    let sources = NetPair::SOURCES.to_string();
    let client = ["churn-client", "--connect", &to, "--count", CONNECTIONS, "--sources", &sources];
    let client = Scenario::spawn(&pair.b, &client)?;
    client.fact("done")?;
    stream.running().signal(Signal::SIGCONT)?;
    let told = until("word of the loss", || {
        let said = stream.running().stderr_so_far();
        Ok(said.lines().find(|line| line.contains("events lost (ring_full)")).map(str::to_owned))
    })?;
    ensure!(told.contains("--ring-size"), "{told}");
    let finished = stream.finish()?;
    let (summary, lines) = (finished.summary()?, transitions(&finished)?);
    let number = |value: &Value| value.as_u64().context("no number");
    let lost = number(&summary["lost"]["ring_full"])?;
    let (events, shown) = (number(&summary["events"])?, number(&summary["shown"])?);
    ensure!(lost > 1000 && shown == lines.len() as u64, "{summary}");
    let sum = shown + lost;
    ensure!(sum <= events && 2 * sum > events, "{summary}");
    for line in &lines {
        let dwell = line["dwell_ns"].as_u64();
        ensure!(dwell.is_none_or(|ns| ns < 120_000_000_000), "{line}");
    }
    Ok(())
}

#[test]
fn a_signal_gives_a_summary() -> Result<()> {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut stream = Stream::with(&[])?;
        stream.running().signal(signal)?;
        let finished = stream.finish_by_itself(DEADLINE)?;
        ensure!(finished.summary()?["command"] == "stream");
    }
    Ok(())
}

#[test]
fn a_hostile_name_is_escaped() -> Result<()> {
    let pair = NetPair::new()?;
    let place = pair.a.path().display().to_string();
    for format in ["json", "table"] {
        let mut command =
            tool::command(&["stream", "-o", format, "--color", "never", "-s", "LAST_ACK"])?;
        command.args(["--netns", &place]);
        let running = Running::start(command)?;
        running.wait_tracing()?;
        let bind = pair.a.v4.to_string();
        let mut server = Scenario::spawn(&pair.a, &["hostile-comm", "--addr", &bind])?;
        let to = SocketAddr::new(pair.a.v4.into(), server.parsed("port")?).to_string();
        let mut client = Scenario::spawn(&pair.b, &["connect", "--connect", &to])?;
        server.fact("accepted")?;
        client.tell("finish")?;
        client.fact("closed_at")?;
        server.tell("close")?;
        server.fact("released_at")?;
        let finished = running.interrupt()?.expect_code(0)?;
        let lines: Vec<_> = finished.stdout.iter().map(|line| line.bytes.clone()).collect();
        let mine = lines.iter().filter_map(|line| std::str::from_utf8(line).ok());
        let mine: Vec<_> = mine.filter(|line| line.contains(&server.pid().to_string())).collect();
        ensure!(!mine.is_empty(), "{lines:?}");
        ensure!(lines.iter().all(|line| std::str::from_utf8(line).is_ok()), "not UTF-8");
        ensure!(!mine.iter().any(|line| line.contains(char::is_control)), "{mine:?}");
    }
    Ok(())
}

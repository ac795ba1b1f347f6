//! What is said of the call that opened a socket, in whatever way that was done: its stack, or why
//! there is none. "Before the trace began" is said of those sockets alone that were there before.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::Value;
use tcptrace_tests::bpf;
use tcptrace_tests::host;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::puppet::Puppet;
use tcptrace_tests::stacks::bench;
use tcptrace_tests::tool::{self, Running};
use tcptrace_tests::wait::until;

/// Two ends of a connection that is still to be opened. The tool follows the namespace of `here`.
struct Scene {
    here: Puppet,
    there: Puppet,
    /// Where `there` listens.
    at: SocketAddr,
}

impl Scene {
    fn new(pair: &NetPair) -> Result<Self> {
        let (here, mut there) = (Puppet::new(&pair.a)?, Puppet::new(&pair.b)?);
        let at = there.listen(SocketAddr::new(pair.b.v4.into(), 0), 16)?;
        Ok(Self { here, there, at })
    }

    /// Opens a connection in one of the ways that `puppet` knows, and its peer closes it. Its port.
    fn open(&mut self, way: &str) -> Result<u16> {
        let local: SocketAddr = self.here.ask(&format!("open {way} {}", self.at))?.parse()?;
        self.there.act("accept")?;
        self.there.act("close")?;
        Ok(local.port())
    }
}

/// The latest report of the socket with a local port.
fn leak(tool: &mut Running, port: u16) -> Result<Value> {
    tool.wait_leak("the socket", |leak| (leak["local_port"] == port).then(|| leak.clone()))
}

/// Fails unless the stack of the opening call is there, with this function of the program's.
fn expect_stack(leak: &Value, function: &str) -> Result<()> {
    let stack = &leak["open_stack"];
    let frames = stack["frames"].as_array().into_iter().flatten();
    let functions: Vec<_> = frames.filter_map(|frame| frame["function"].as_str()).collect();
    let is_there = functions.iter().any(|name| name.contains(function));
    ensure!(is_there && stack["status"] == "ok", "{function} is not in {functions:?}: {leak:#}");
    Ok(())
}

/// Fails unless there is no stack, for this reason.
fn expect_reason(leak: &Value, status: &str, reason: &str) -> Result<()> {
    let stack = &leak["open_stack"];
    let told = stack["reason"].as_str().unwrap_or_default();
    ensure!(stack["status"] == status && told.contains(reason), "not {reason:?}: {leak:#}");
    ensure!(told.contains("before") == reason.contains("before"), "{told}");
    Ok(())
}

/// The opener is named, and so is the function in which it called.
fn is_traced(pair: &NetPair, mut scene: Scene, way: &str, function: &str) -> Result<()> {
    let mut tool = bench::trace(pair)?;
    // The first stack of a program is finished from a copy, the second in the kernel.
    for _ in 0..2 {
        let port = scene.open(way)?;
        let leak = leak(&mut tool, port)?;
        ensure!(leak["opener"]["pid"] == scene.here.pid(), "{leak:#}");
        expect_stack(&leak, function)?;
    }
    Ok(())
}

/// Functions are hooked wherever the kernel lets them be: no system call's tracepoint is on then.
#[test]
fn functions_where_they_can_be_hooked() -> Result<()> {
    let pair = NetPair::new()?;
    let tool = bench::trace(&pair)?;
    let links = bpf::links_of(tool.pid())?;
    let count = |kind: &str| links.iter().filter(|link| link.kind == kind).count();
    // Links to functions and those to tracepoints with types have different kinds, and old tracepoints a third.
    let (functions, calls) = (count("tracing"), count("perf"));
    if host::hooks_functions()? {
        ensure!(functions >= 5 && calls == 0, "{links:?}");
    } else {
        ensure!(functions == 0 && calls == 4, "{links:?}");
    }
    Ok(())
}

#[test]
fn connect() -> Result<()> {
    let pair = NetPair::new()?;
    is_traced(&pair, Scene::new(&pair)?, "connect", "ways::open")
}

#[test]
fn connect_that_does_not_wait() -> Result<()> {
    let pair = NetPair::new()?;
    is_traced(&pair, Scene::new(&pair)?, "without-waiting", "without_waiting")
}

/// A system call that is none of its own has the kernel connect: the opener is named, and the
/// function in which it called where functions of the kernel can be hooked. No system call's own
/// tracepoint tells that this one opens a socket.
fn is_traced_by_functions(
    pair: &NetPair,
    mut scene: Scene,
    way: &str,
    function: &str,
) -> Result<()> {
    if host::hooks_functions()? {
        return is_traced(pair, scene, way, function);
    }
    let mut tool = bench::trace(pair)?;
    let port = scene.open(way)?;
    let leak = leak(&mut tool, port)?;
    ensure!(leak["opener"]["pid"] == scene.here.pid(), "{leak:#}");
    expect_reason(&leak, "not-traced", "the opening call was not traced")
}

#[test]
fn fast_open_by_sendto() -> Result<()> {
    let pair = NetPair::new()?;
    is_traced_by_functions(&pair, Scene::new(&pair)?, "sendto", "by_sendto")
}

#[test]
fn fast_open_by_sendmsg() -> Result<()> {
    let pair = NetPair::new()?;
    is_traced_by_functions(&pair, Scene::new(&pair)?, "sendmsg", "by_sendmsg")
}

/// The SYN goes with the first bytes, but it is connect() that opens.
#[test]
fn fast_open_that_is_put_off() -> Result<()> {
    let pair = NetPair::new()?;
    for ns in pair.both() {
        // Client and server, both without cookies.
        ns.set("net.ipv4.tcp_fastopen", "519")?;
    }
    let mut scene = Scene::new(&pair)?;
    scene.there.act("fast-open 16")?;
    is_traced(&pair, scene, "put-off", "connect_later")
}

#[test]
fn through_a_ring() -> Result<()> {
    let pair = NetPair::new()?;
    is_traced_by_functions(&pair, Scene::new(&pair)?, "ring", "through_a_ring")
}

/// The thread that connects has no stack, whatever can be hooked.
#[test]
fn by_a_worker_of_a_ring() -> Result<()> {
    let pair = NetPair::new()?;
    let mut scene = Scene::new(&pair)?;
    let mut tool = bench::trace(&pair)?;
    let port = scene.open("ring-worker")?;
    let leak = leak(&mut tool, port)?;
    ensure!(leak["opener"]["pid"] == scene.here.pid(), "{leak:#}");
    if host::hooks_functions()? {
        return expect_reason(&leak, "unwind-failed", "the thread has no stack that can be walked");
    }
    expect_reason(&leak, "not-traced", "the opening call was not traced")
}

#[cfg(target_arch = "x86_64")]
#[test]
fn connect_as_a_32_bit_program_does() -> Result<()> {
    let pair = NetPair::new()?;
    is_traced_by_functions(&pair, Scene::new(&pair)?, "32-bit", "connect_as_32_bit")
}

/// Where functions cannot be hooked nothing tells of such a call, but the connection was born while
/// the tool watched.
#[cfg(target_arch = "x86_64")]
#[test]
fn accept_as_a_32_bit_program_does() -> Result<()> {
    let pair = NetPair::new()?;
    let (mut here, mut there) = (Puppet::new(&pair.a)?, Puppet::new(&pair.b)?);
    let at = here.listen(SocketAddr::new(pair.a.v4.into(), 0), 16)?;
    let mut tool = bench::trace(&pair)?;
    there.connect(at)?;
    here.act("accept-as-32-bit")?;
    there.act("close")?;
    let leak = leak(&mut tool, at.port())?;
    ensure!(leak["holders"][0]["pid"] == here.pid(), "{leak:#}");
    if host::hooks_functions()? {
        ensure!(leak["opener"]["pid"] == here.pid(), "{leak:#}");
        return expect_stack(&leak, "accept_as_32_bit");
    }
    ensure!(leak["opener"].is_null(), "{leak:#}");
    expect_reason(&leak, "not-traced", "no accept() was seen")
}

/// A server that waits for its next client when the tool comes.
#[test]
fn accept_that_waited_before_the_trace() -> Result<()> {
    let pair = NetPair::new()?;
    let (mut here, mut there) = (Puppet::new(&pair.a)?, Puppet::new(&pair.b)?);
    let at = here.listen(SocketAddr::new(pair.a.v4.into(), 0), 16)?;
    here.begin("accept")?;
    until("the server to wait", || {
        let call = fs::read_to_string(format!("/proc/{}/wchan", here.pid()))?;
        Ok(call.contains("accept").then_some(()))
    })?;
    let mut tool = bench::trace(&pair)?;
    there.connect(at)?;
    here.answer()?;
    there.act("close")?;
    let leak = leak(&mut tool, at.port())?;
    ensure!(leak["opener"]["pid"] == here.pid(), "{leak:#}");
    expect_stack(&leak, "accept")
}

/// Of what was there before nobody knows who opened it.
#[test]
fn before_the_trace() -> Result<()> {
    let pair = NetPair::new()?;
    let mut scene = Scene::new(&pair)?;
    let port = scene.open("connect")?;
    let mut tool = bench::trace(&pair)?;
    let leak = leak(&mut tool, port)?;
    ensure!(leak["opener"].is_null(), "{leak:#}");
    expect_reason(&leak, "not-traced", "opened before the trace began")
}

/// That is no reason for sockets whose opener was seen.
#[test]
fn without_stacks() -> Result<()> {
    let pair = NetPair::new()?;
    let mut scene = Scene::new(&pair)?;
    let mut tool = bench::trace_with(&pair, &["--no-stacks"])?;
    let port = scene.open("connect")?;
    let leak = leak(&mut tool, port)?;
    ensure!(leak["opener"]["pid"] == scene.here.pid(), "{leak:#}");
    expect_reason(&leak, "not-traced", "no stacks were asked for")
}

/// The tool in a pid namespace of its own.
fn trace_in_a_pid_namespace(pair: &NetPair) -> Result<Running> {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]).arg(tool::executable()?);
    command.args(["leaks", "--min-age", "1s", "--interval", "1s", "-o", "json", "--netns"]);
    command.arg(pair.a.path());
    let running = Running::start(command)?;
    running.wait_tracing()?;
    Ok(running)
}

/// It sees a socket that a process outside opens, and cannot see that process.
#[test]
fn from_inside_a_pid_namespace() -> Result<()> {
    let pair = NetPair::new()?;
    let mut scene = Scene::new(&pair)?;
    let before = scene.open("connect")?;
    let mut other = Scene::new(&pair)?;
    let mut tool = trace_in_a_pid_namespace(&pair)?;
    let port = other.open("connect")?;
    let hidden = leak(&mut tool, port)?;
    ensure!(hidden["opener"].is_null(), "{hidden:#}");
    expect_reason(&hidden, "not-traced", "by a process outside this pid namespace")?;
    expect_reason(&leak(&mut tool, before)?, "not-traced", "opened before the trace began")
}

/// The same of accept().
#[test]
fn accepted_outside_the_pid_namespace() -> Result<()> {
    let pair = NetPair::new()?;
    let (mut here, mut there) = (Puppet::new(&pair.a)?, Puppet::new(&pair.b)?);
    let at = here.listen(SocketAddr::new(pair.a.v4.into(), 0), 16)?;
    let mut tool = trace_in_a_pid_namespace(&pair)?;
    there.connect(at)?;
    here.act("accept")?;
    there.act("close")?;
    let hidden = leak(&mut tool, at.port())?;
    ensure!(hidden["opener"].is_null(), "{hidden:#}");
    expect_reason(&hidden, "not-traced", "by a process outside this pid namespace")
}

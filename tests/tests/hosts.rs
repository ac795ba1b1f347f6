//! Hosts that are not as they should be: no BTF, few capabilities, a pid namespace of its own.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::situation::Situation;
use tcptrace_tests::tool::{self, Finished, Running};

/// Flags of unshare(1) for a pid namespace of its own, with a `/proc` and a network that fit.
const OWN_PIDS: [&str; 4] = ["-p", "-f", "-n", "--mount-proc"];

/// Runs a shell line in namespaces of its own; `$0` is the tool.
fn unshared(flags: &[&str], line: &str) -> Result<Finished> {
    let mut command = Command::new("unshare");
    command.args(flags).args(["sh", "-c", line]).arg(tool::executable()?);
    tool::run(command)
}

#[test]
fn without_btf() -> Result<()> {
    let line = "mount -t tmpfs none /sys/kernel/btf && exec $0 leaks --once";
    let finished = unshared(&["-m"], line)?.expect_code(2)?;
    ensure!(finished.stdout.is_empty(), "it printed something");
    ensure!(finished.stderr.trim_end().lines().count() == 1, "{}", finished.stderr);
    ensure!(finished.stderr.contains("CONFIG_DEBUG_INFO_BTF"), "{}", finished.stderr);
    Ok(())
}

/// The tool neither raises limits nor needs the right to, and keeps to what it has.
#[test]
fn with_bpf_and_perfmon_alone() -> Result<()> {
    let pair = NetPair::new()?;
    let staged = Situation::NEVER_READ.stage(&pair)?;
    staged.wait_close_wait(|socket| socket.last_ack_ms >= 1000)?;
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-all,+bpf,+perfmon", "--inh-caps=-all", "--"]);
    command.arg(tool::executable()?).args(["leaks", "-o", "json", "--once", "--min-age", "1s"]);
    let finished = tool::run(command)?.expect_code(0)?;
    let degradations = &finished.summary()?["degradations"];
    let told =
        degradations.as_array().is_some_and(|all| all.contains(&"own-namespace-only".into()));
    ensure!(told, "{degradations}");
    // The namespace cannot be entered, but a process holds the socket, and descriptors show it.
    let (_, peer) = staged.socket()?;
    let found = finished.leaks()?.iter().any(|leak| leak["remote_port"] == peer.port());
    ensure!(found, "{:?}", finished.leaks()?);
    Ok(())
}

/// In a pid namespace the tool says that it does not see everything, and the pids that it does
/// print are those of that namespace.
#[test]
fn in_a_pid_namespace() -> Result<()> {
    let script = r#"
        ip link set lo up
        python3 - <<'PYTHON' &
import os, socket, time
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
server, _ = listener.accept()
client.close()
open("/tmp/tcptrace-pidns-%s" % os.environ["TOKEN"], "w").write(str(os.getpid()))
time.sleep(30)
PYTHON
        file=/tmp/tcptrace-pidns-$TOKEN
        until [ -s $file ]; do sleep 0.05; done
        cat $file >&2; echo >&2; rm $file
        sleep 1.2
        $0 leaks --once --min-age 1s -o json
        kill $!
    "#;
    let mut command = Command::new("unshare");
    command.args(OWN_PIDS).args(["sh", "-c", script]).arg(tool::executable()?);
    command.env("TOKEN", std::process::id().to_string());
    let finished = tool::run(command)?;
    let pid: u32 = finished.stderr.lines().next().unwrap_or_default().trim().parse()?;
    ensure!(finished.stderr.contains("pid namespace"), "no warning: {}", finished.stderr);
    let degradations = &finished.summary()?["degradations"];
    ensure!(degradations.to_string().contains("not-initial-pid-namespace"), "{degradations}");
    let leaks = finished.leaks()?;
    let mine = |leak: &&Value| leak["holders"][0]["pid"] == pid;
    let leak = leaks.iter().find(mine);
    let leak = leak.ok_or_else(|| anyhow::anyhow!("no leak of pid {pid}: {leaks:?}"))?;
    ensure!(leak["holders"][0]["comm"] == "python3", "{leak}");
    ensure!(leak["holders"][0]["exe"].is_string(), "{leak}");
    Ok(())
}

/// Events name openers by the pids of the tool's pid namespace too, and `-p` takes those.
#[test]
fn events_in_a_pid_namespace() -> Result<()> {
    let script = r#"
        ip link set lo up
        python3 - <<'PYTHON' &
import socket, time
listener = socket.create_server(("127.0.0.1", 4711))
while True:
    listener.accept()[0].close()
PYTHON
        python3 - <<'PYTHON' &
import os, socket, time
print(os.getpid(), flush=True)
for _ in range(60):
    try:
        socket.create_connection(("127.0.0.1", 4711)).recv(1)
    except ConnectionRefusedError:
        pass
    time.sleep(0.1)
PYTHON
        $0 stream -o json -p $! --duration 3s
        kill %1 %2
    "#;
    let finished = unshared(&OWN_PIDS, script)?;
    let (pid, lines) = finished.stdout.split_first().context("nothing printed")?;
    let pid: u32 = pid.text().trim().parse()?;
    let lines: Result<Vec<Value>> = lines.iter().map(tool::json).collect();
    let openers: Vec<Value> = lines?.iter().map(|line| line["pid"].clone()).collect();
    ensure!(openers.len() > 5, "only {openers:?}; {}", finished.stderr);
    let ours = openers.iter().filter(|opener| **opener == pid).count();
    ensure!(ours + 1 == openers.len(), "{pid}, but {openers:?}");
    Ok(())
}

/// `-vv` shows what the kernel side says.
#[test]
fn the_kernel_side_has_a_log() -> Result<()> {
    let pair = NetPair::new()?;
    let running = Running::leaks(&["-vv", "--interval", "1h"])?;
    let _staged = Situation::NEVER_READ.stage(&pair)?;
    tcptrace_tests::wait::until("a line of the kernel side", || {
        Ok(running.stderr_so_far().contains("tcptrace_bpf").then_some(()))
    })?;
    running.interrupt()?.expect_code(0)?;
    Ok(())
}

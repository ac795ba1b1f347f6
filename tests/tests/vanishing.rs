//! What is looked at goes away meanwhile: network namespaces, processes, programs.

use std::net::TcpListener;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::scenario::Scenario;
use tcptrace_tests::situation::Situation;
use tcptrace_tests::tool::{self, Finished, Running, is_leak};
use tcptrace_tests::wait::until;

/// Namespaces that have come and gone, or programs that were started, before a test ends.
const ENOUGH: u64 = 200;

/// Reports with the leak that are made meanwhile.
const REPORTS: usize = 8;

/// Each report that follows the first one with the leak has it too. Returns how many have it.
fn reports_with(finished: &Finished, port: u16) -> Result<usize> {
    let objects = finished.objects()?;
    let reports = objects.split_inclusive(|object| object["type"] == "summary");
    let has = |report: &&[Value]| {
        report.iter().any(|object| is_leak(object) && object["remote_port"] == port)
    };
    let missing = reports.clone().skip_while(|report| !has(report)).filter(|own| !has(own));
    ensure!(missing.count() == 0, "a report lacks the leak");
    Ok(reports.filter(has).count())
}

/// A namespace with a listener in it, which ends with this thread.
fn short_lived_namespace() -> Result<()> {
    let live = || -> Result<()> {
        unshare(CloneFlags::CLONE_NEWNET)?;
        let _listener = TcpListener::bind("0.0.0.0:0")?;
        thread::sleep(Duration::from_millis(2));
        Ok(())
    };
    thread::spawn(live).join().map_err(|_| anyhow::anyhow!("panicked"))?
}

#[test]
fn namespaces_that_end_while_they_are_read() -> Result<()> {
    let pair = NetPair::new()?;
    let staged = Situation::NEVER_READ.stage(&pair)?;
    staged.wait_close_wait(|socket| socket.last_ack_ms >= 1000)?;
    let port = staged.socket()?.1.port();
    let mut leaks = Running::leaks(&["--interval", "50ms"])?;
    let counts = ["states", "--watch", "--interval", "50ms", "-o", "json"];
    let counts = Running::start(tool::command(&counts)?)?;
    let (is_over, ended) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| -> Result<()> {
        let churn = || -> Result<()> {
            while !is_over.load(Ordering::Relaxed) {
                short_lived_namespace()?;
                ended.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        };
        let churning = [scope.spawn(churn), scope.spawn(churn)];
        let enough = until("namespaces to come and go", || {
            let reports = leaks.objects_so_far()?.iter().filter(|own| own["remote_port"] == port);
            let ended = ended.load(Ordering::Relaxed);
            Ok((reports.count() >= REPORTS && ended >= ENOUGH).then_some(()))
        });
        is_over.store(true, Ordering::Relaxed);
        for thread in churning {
            thread.join().map_err(|_| anyhow::anyhow!("panicked"))??;
        }
        enough
    })?;
    let finished = leaks.interrupt()?.expect_code(0)?;
    ensure!(reports_with(&finished, port)? >= REPORTS, "too few reports");
    let summary = counts.interrupt()?.expect_code(0)?.summary()?;
    ensure!(summary["sockets"].as_u64() > Some(0), "{summary}");
    Ok(())
}

/// A shell with a leaked socket, whose children inherit it, call exec and end all the time.
const SHELL: &str = r#"
    exec 7<>/dev/tcp/$0/$1
    started=0
    while :; do
        /bin/true & /bin/true & (exec -a 'other name' /bin/true) &
        wait
        started=$((started + 3))
        echo "started=$started"
    done
"#;

#[test]
fn processes_that_exec_and_end_while_they_are_read() -> Result<()> {
    let pair = NetPair::new()?;
    let address = pair.a.v4;
    let listener = pair.a.inside(|| Ok(TcpListener::bind((address, 0))?))?;
    let to = listener.local_addr()?;
    let mut leaks = Running::leaks(&["--interval", "50ms", "--by", "process"])?;
    let mut shell = Command::new("bash");
    shell.args(["-c", SHELL, &to.ip().to_string(), &to.port().to_string()]);
    let shell = Scenario::start(&pair.a, shell)?;
    drop(listener.accept()?);
    let is_it = |leak: &Value| (leak["remote_port"] == to.port()).then_some(());
    leaks.wait_leak("the shell's leak", is_it)?;
    until("programs to come and go", || {
        let last = shell.facts("started").pop().and_then(|count| count.parse::<u64>().ok());
        let mine = |own: &&Value| own["remote_port"] == to.port();
        let reports = leaks.objects_so_far()?.iter().filter(mine);
        Ok((reports.count() >= REPORTS && last >= Some(ENOUGH)).then_some(()))
    })?;
    let finished = leaks.interrupt()?.expect_code(0)?;
    ensure!(reports_with(&finished, to.port())? >= REPORTS, "too few reports");
    let all = finished.leaks()?;
    let last = all.iter().rev().find(|leak| leak["remote_port"] == to.port());
    let holders = last.and_then(|leak| leak["holders"].as_array()).context("no holders")?;
    ensure!(holders.iter().any(|own| own["pid"] == shell.pid()), "{holders:?}");
    Ok(())
}

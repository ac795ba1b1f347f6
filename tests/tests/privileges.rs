//! What tcptrace may still do once its hooks are attached: just what its answers take.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tcptrace_tests::host;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::scenario::{self, Scenario};
use tcptrace_tests::situation::Situation;
use tcptrace_tests::tool::{self, Running};
use tcptrace_tests::wait::until;

/// The longest that an examination may take.
const LIMIT: Duration = Duration::from_secs(60);

const DAC_READ_SEARCH: u64 = 1 << 2;
const SYS_PTRACE: u64 = 1 << 19;
const SYS_ADMIN: u64 = 1 << 21;
const NET_ADMIN: u64 = 1 << 12;

/// Whoever reads the sockets of all network namespaces has to ask sockets for some of them, on kernels that
/// do not open them by number.
fn enters() -> Result<u64> {
    Ok(if host::opens_any_namespace()? { SYS_ADMIN } else { SYS_ADMIN | NET_ADMIN })
}

/// The sets of one thread of a process.
struct Sets {
    name: String,
    lines: String,
}

impl Sets {
    fn read(thread: &Path) -> Result<Self> {
        let lines = fs::read_to_string(thread.join("status"))?;
        let name = fs::read_to_string(thread.join("comm"))?.trim().to_owned();
        Ok(Self { name, lines })
    }

    fn get(&self, set: &str) -> Result<u64> {
        let line = self.lines.lines().find_map(|line| line.strip_prefix(set)?.strip_prefix(":\t"));
        Ok(u64::from_str_radix(line.with_context(|| format!("no {set}"))?, 16)?)
    }

    fn are(&self, kept: u64) -> Result<()> {
        for (set, wanted) in [
            ("CapEff", kept),
            ("CapPrm", kept),
            ("CapBnd", kept),
            ("CapInh", 0),
            ("CapAmb", 0),
            ("NoNewPrivs", 1),
        ] {
            let got = self.get(set)?;
            ensure!(got == wanted, "thread {}: {set} {got:x}, not {wanted:x}", self.name);
        }
        Ok(())
    }
}

/// Each thread of the process has these capabilities and no other, in whatever set.
fn keeps(pid: u32, kept: u64) -> Result<()> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"))?;
    for thread in threads {
        // One that reads a namespace may have ended.
        let Ok(sets) = Sets::read(&thread?.path()) else { continue };
        sets.are(kept)?;
    }
    Ok(())
}

fn start(args: &[&str]) -> Result<Running> {
    let running = Running::start(tool::command(args)?)?;
    running.wait_tracing()?;
    Ok(running)
}

/// A program that nobody but its user, who is not root, may read or run.
struct Foreign(PathBuf);

impl Foreign {
    const USER: u32 = 65534;

    fn new() -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("tcptrace-foreign-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let foreign = Self(dir);
        fs::copy(scenario::executable()?, foreign.program())?;
        for path in [foreign.program(), foreign.0.clone()] {
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700))?;
            chown(&path, Some(Self::USER), Some(Self::USER))?;
        }
        Ok(foreign)
    }

    fn program(&self) -> PathBuf {
        self.0.join("foreign-server")
    }

    /// Starts it as its user in a namespace.
    fn start(&self, pair: &NetPair, args: &[&str]) -> Result<Scenario> {
        let mut command = Command::new("setpriv");
        let user = Self::USER.to_string();
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"]);
        command.arg(self.program()).args(args);
        Scenario::start(&pair.a, command)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

/// What is given up is not missed: a leak of another user in another namespace, in a program that
/// is for that user alone, has its names, the functions of its code and its descriptors.
#[test]
fn leaks_keeps_what_a_whole_report_takes() -> Result<()> {
    let pair = NetPair::new()?;
    let foreign = Foreign::new()?;
    let place = pair.a.path().display().to_string();
    let mut running = Running::leaks(&["--netns", &place])?;
    let situation = Situation::NEVER_READ;
    let address = pair.a.v4.to_string();
    let server = foreign.start(&pair, &[situation.server, &["--addr", &address]].concat())?;
    let mut staged = situation.join(&pair, server)?;
    staged.finish()?;
    let peer = staged.socket()?.1.port();
    let leak = running.wait_leak("the leak", |leak| {
        (leak["remote_port"] == peer && leak["holders"][0]["pid"].is_u64()).then(|| leak.clone())
    })?;
    keeps(running.pid(), enters()? | SYS_PTRACE | DAC_READ_SEARCH)?;
    let holder = &leak["holders"][0];
    ensure!(holder["uid"] == Foreign::USER && holder["fd_used"].is_u64(), "{leak}");
    let program = foreign.program().display().to_string();
    ensure!(holder["exe"] == program.as_str(), "{leak}");
    ensure!(leak["open_stack"]["status"] == "ok", "{leak}");
    let frames = leak["open_stack"]["frames"].as_array().context("no frames")?;
    ensure!(frames.iter().any(|frame| frame["function"].is_string()), "{leak}");
    let summary = running.interrupt()?.expect_code(0)?.summary()?;
    ensure!(summary["degradations"] == Value::Array(Vec::new()), "{summary}");
    Ok(())
}

#[test]
fn each_command_keeps_what_it_says() -> Result<()> {
    let file = std::env::temp_dir().join(format!("tcptrace-rights-{}.rec", std::process::id()));
    let path = file.display().to_string();
    let looking = enters()? | SYS_PTRACE;
    for (args, kept) in [
        (&["stream"][..], 0),
        (&["stream", "--cgroup", "/no-such"], SYS_PTRACE),
        (&["hist"], looking),
        (&["hist", "--exact"], looking),
        (&["record", &path], looking | DAC_READ_SEARCH),
        (&["leaks", "--no-stacks"], looking | DAC_READ_SEARCH),
    ] {
        let running = start(args)?;
        // The thread that attached the hooks has ended, and may be seen for a moment still.
        let mut wrong = None;
        let are_kept = until("rights given up", || {
            wrong = keeps(running.pid(), kept).err();
            Ok(wrong.is_none().then_some(()))
        });
        are_kept.with_context(|| format!("{args:?}: {wrong:?}"))?;
        running.interrupt()?.expect_code(0).with_context(|| format!("{args:?}"))?;
    }
    fs::remove_file(file)?;
    Ok(())
}

#[test]
fn a_count_keeps_what_it_says() -> Result<()> {
    let running = Running::start(tool::command(&["states", "--watch", "-o", "json"])?)?;
    until("the first count", || {
        let kept = keeps(running.pid(), enters()? | SYS_PTRACE);
        Ok(kept.is_ok().then_some(()))
    })?;
    let summary = running.interrupt()?.expect_code(0)?.summary()?;
    ensure!(summary["namespaces_unread"] == 0, "{summary}");
    Ok(())
}

#[test]
fn an_examination_keeps_what_it_says() -> Result<()> {
    let args = ["doctor", "-o", "json", "--duration", "3s"];
    let running = Running::start(tool::command(&args)?)?;
    until("the samples", || {
        let kept = keeps(running.pid(), enters()? | SYS_PTRACE | DAC_READ_SEARCH);
        Ok(kept.is_ok().then_some(()))
    })?;
    let summary = running.finish(LIMIT)?.expect_code(0)?.summary()?;
    ensure!(summary["degradations"] == serde_json::json!([]), "{summary}");
    Ok(())
}

/// `check` tells just what the commands do.
#[test]
fn check_says_what_is_kept() -> Result<()> {
    let checked = tool::run(tool::command(&["check", "-o", "json"])?)?.expect_code(0)?;
    let objects = checked.objects()?;
    let kept = objects.iter().filter(|object| object["type"] == "capability");
    let kept: Vec<_> = kept
        .map(|own| (own["name"].as_str().unwrap_or_default(), own["kept_by"].to_string()))
        .collect();
    let leaks = |name: &str| kept.iter().any(|(own, by)| *own == name && by.contains("\"leaks\""));
    let mut wanted = vec!["CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"];
    if enters()? & NET_ADMIN != 0 {
        wanted.push("CAP_NET_ADMIN");
    }
    ensure!(kept.len() == wanted.len(), "{kept:?}");
    for name in wanted {
        ensure!(leaks(name), "{name}: {kept:?}");
    }
    Ok(())
}

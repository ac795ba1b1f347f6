//! Names that attack whoever reads them, in every output there is.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tcptrace_tests::harmless;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::scenario::Scenario;
use tcptrace_tests::stacks::build::source;
use tcptrace_tests::tool::{self, Finished, Running};
use tcptrace_tests::wait::until;

/// Of directories: whatever a file system takes, which is all but NUL and `/`.
const EVIL: &[u8] = b"evil\x1b[31m\xe2\x80\xae\xff\xfe\n\x9b\xc2\x9b\xe2\x81\xa6'\"`<&>";
/// Of a cgroup, where the kernel takes no newline.
const EVIL_CGROUP: &[u8] = b"evil\x1b[31m\xe2\x80\xae\xff\xc2\x9b";

/// A server whose name, program, script, functions and cgroup are hostile.
struct Hostile {
    dir: PathBuf,
    cgroup: Option<PathBuf>,
}

impl Hostile {
    fn new() -> Result<Self> {
        let name = format!("tcptrace-hostile-{}", std::process::id());
        let dir = std::env::temp_dir().join(name).join(OsString::from_vec(EVIL.to_vec()));
        fs::create_dir_all(&dir)?;
        fs::copy(source("hostile.py"), dir.join("server.py"))?;
        fs::copy("/usr/bin/python3", dir.join("python3"))?;
        Ok(Self { dir, cgroup: make_cgroup() })
    }

    fn start(&self, pair: &NetPair) -> Result<Scenario> {
        let mut command = Command::new(self.dir.join("python3"));
        command.arg(self.dir.join("server.py")).arg(pair.a.v4.to_string());
        command.env("PYTHONHOME", "/usr").env("PYTHONUTF8", "1");
        let server = Scenario::start(&pair.a, command)?;
        if let Some(cgroup) = &self.cgroup {
            fs::write(cgroup.join("cgroup.procs"), server.pid().to_string())?;
        }
        Ok(server)
    }

    fn recording(&self) -> Result<PathBuf> {
        Ok(self.dir.parent().context("no parent")?.join("recording"))
    }
}

/// In the unified hierarchy, where there is one and it may be written to.
fn make_cgroup() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let unified = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let unified = unified.into_iter().find(|fields| fields.get(2) == Some(&"cgroup2"))?;
    let mut name = EVIL_CGROUP.to_vec();
    name.extend(std::process::id().to_string().into_bytes());
    let cgroup = Path::new(unified[1]).join(OsString::from_vec(name));
    fs::create_dir(&cgroup).ok()?;
    Some(cgroup)
}

impl Drop for Hostile {
    fn drop(&mut self) {
        let parent = self.dir.parent().unwrap_or(&self.dir);
        if let Err(error) = fs::remove_dir_all(parent) {
            eprintln!("{}: {error}", parent.display());
        }
        if let Some(cgroup) = &self.cgroup {
            // It is empty when the server's end has got through.
            let gone = until("the cgroup to be empty", || Ok(fs::remove_dir(cgroup).ok()));
            gone.unwrap_or_else(|error| eprintln!("{}: {error:#}", cgroup.display()));
        }
    }
}

/// Connects and closes.
fn visit(pair: &NetPair, server: &Scenario) -> Result<Scenario> {
    let to = SocketAddr::new(pair.a.v4.into(), server.parsed("port")?).to_string();
    let mut client = Scenario::spawn(&pair.b, &["connect", "--connect", &to])?;
    client.fact("ready")?;
    client.tell("finish")?;
    client.fact("closed_at")?;
    Ok(client)
}

fn start(args: &[&str]) -> Result<Running> {
    let running = Running::start(tool::command(args)?)?;
    running.wait_tracing()?;
    Ok(running)
}

/// What was printed is harmless, and says of the hostile process.
fn check(finished: Finished, what: &str, word: &str) -> Result<()> {
    let finished = finished.expect_code(0)?;
    harmless::check(&finished, what)?;
    let said = finished.stdout.iter().any(|line| line.text().contains(word));
    let all: Vec<_> = finished.stdout.iter().map(|line| line.text()).collect();
    ensure!(said, "{what}: nothing of {word} in {all:#?}");
    Ok(())
}

#[test]
fn no_name_gets_through_anywhere() -> Result<()> {
    let (pair, hostile) = (NetPair::new()?, Hostile::new()?);
    let (file, place) = (hostile.recording()?, pair.a.path().display().to_string());
    let file = file.display().to_string();
    let live = [
        &["leaks", "-w", "--min-age", "1s", "--interval", "1h", "--netns", &place, "-vv"][..],
        &["stream", "--netns", &place],
        &["stream", "--netns", &place, "-o", "json"],
        &["hist", "--by", "comm", "--netns", &place],
        &["record", &file, "--interval", "1s"],
    ];
    let running: Vec<_> = live.iter().map(|args| start(args)).collect::<Result<_>>()?;
    let server = hostile.start(&pair)?;
    let _first = visit(&pair, &server)?;
    server.fact("accepted")?;
    let _second = visit(&pair, &server)?;
    server.fact("closed")?;
    let pid = server.pid().to_string();
    let fixed = ["leaks", "--once", "--min-age", "2s", "--netns", &place];
    until("the leak to be old enough", || {
        let finished = tool::run(tool::command(&fixed)?)?;
        Ok(finished.stdout.iter().any(|line| line.text().contains(&pid)).then_some(()))
    })?;
    now(&place, &pid)?;
    for (args, running) in live.iter().zip(running) {
        let finished = running.interrupt()?;
        match args[0] {
            "record" => harmless::check(&finished.expect_code(0)?, "record")?,
            _ => check(finished, &args.join(" "), "evil")?,
        }
    }
    replayed(&file)
}

/// Answers about what is so now.
fn now(place: &str, pid: &str) -> Result<()> {
    let leaks = ["leaks", "--once", "--min-age", "1s", "--netns", place];
    for options in [
        &["--by", "none"][..],
        &["-w", "--by", "none"],
        &["--by", "process"],
        &["--by", "cgroup", "-w"],
        &["-o", "json"],
    ] {
        let args = [&leaks[..], options].concat();
        check(tool::run(tool::command(&args)?)?, &args.join(" "), pid)?;
    }
    for options in [&[][..], &["-w"], &["-o", "json"]] {
        let args = [&["states", "--by", "process", "--netns", place], options].concat();
        check(tool::run(tool::command(&args)?)?, &args.join(" "), pid)?;
    }
    Ok(())
}

/// The same from a recording, stacks and all.
fn replayed(file: &str) -> Result<()> {
    let log = format!("{file}.hlog");
    for args in [
        &["leaks", "--min-age", "1s"][..],
        &["leaks", "--min-age", "1s", "-w", "--native"],
        &["leaks", "--min-age", "1s", "-w", "--by", "none"],
        &["leaks", "--min-age", "1s", "-w", "--by", "cgroup"],
        &["leaks", "--min-age", "1s", "-o", "json"],
        &["leaks", "--min-age", "1s", "-o", "folded"],
        &["leaks", "--min-age", "1s", "-o", "svg"],
        &["stream"],
        &["stream", "-w"],
        &["stream", "-o", "json"],
        &["hist", "--by", "comm"],
        &["hist", "--by", "comm", "-o", "json", "--hdr-log", &log],
    ] {
        let args = [args, &["--replay", file]].concat();
        check(tool::run(tool::command(&args)?)?, &args.join(" "), "evil")?;
    }
    let log = fs::read_to_string(log)?;
    let bad = log.lines().find(|line| line.contains(char::is_control));
    ensure!(bad.is_none(), "{bad:?}");
    Ok(())
}

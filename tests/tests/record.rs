//! Recordings: what a replay says against what live said of the same leaks, and what becomes of a
//! recording when things go wrong.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;
use tcptrace_tests::churn::{CONNECTIONS, Churn};
use tcptrace_tests::host;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::puppet::Puppet;
use tcptrace_tests::situation::{Situation, Staged};
use tcptrace_tests::stream::{Stream, Which};
use tcptrace_tests::tool::{self, Finished, Running};
use tcptrace_tests::wait::{DEADLINE, until};

/// A directory of its own that anybody may look into, gone with the test.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Result<Self> {
        let dir = std::env::temp_dir().join(format!("tcptrace-{name}-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755))?;
        Ok(Self(dir))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A file with these bytes that anybody may read.
    fn with(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let path = self.file(name);
        fs::write(&path, bytes)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
        Ok(path)
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

fn record(path: &Path, options: &[&str]) -> Result<Command> {
    let mut command = tool::command(&["record"])?;
    command.arg(path).args(options);
    Ok(command)
}

/// `--replay` as nobody, who has no rights at all. The tool is copied to where nobody may
/// execute it.
struct Nobody(PathBuf);

impl Nobody {
    fn new(dir: &Dir) -> Result<Self> {
        let copy = dir.file("tcptrace");
        fs::copy(tool::executable()?, &copy)?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))?;
        Ok(Self(copy))
    }

    fn replay(&self, path: &Path, options: &[&str]) -> Result<Finished> {
        self.replay_as("leaks", path, options)
    }

    fn replay_as(&self, subcommand: &str, path: &Path, options: &[&str]) -> Result<Finished> {
        let mut command = Command::new("setpriv");
        let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--"];
        command.args(nobody).arg(&self.0).args([subcommand, "--replay"]).arg(path).args(options);
        command.env_remove("NO_COLOR").stdin(Stdio::null());
        tool::run(command)
    }
}

fn replay(path: &Path, options: &[&str]) -> Result<Finished> {
    let mut command = tool::command(&["leaks", "-o", "json", "--replay"])?;
    command.arg(path).args(options);
    tool::run(command)
}

/// Exit status 2, nothing on standard output, one line with all of these words.
fn refused(finished: Finished, words: &[&str]) -> Result<()> {
    let finished = finished.expect_code(2)?;
    ensure!(finished.stdout.is_empty(), "it printed something");
    let stderr = finished.stderr.trim_end();
    ensure!(stderr.lines().count() == 1, "not one line: {stderr:?}");
    let missing: Vec<_> = words.iter().filter(|word| !stderr.contains(**word)).collect();
    ensure!(missing.is_empty(), "says nothing of {missing:?}: {stderr}");
    Ok(())
}

/// What of a leak does not change from one look to the next.
fn steady(leak: &Value) -> Value {
    let mut steady = leak.clone();
    for field in ["time", "age_ns", "age_max_ns"] {
        steady[field] = Value::Null;
    }
    // Two processes read the two clocks at two moments.
    if let Some(eof) = steady["eof"].as_object_mut() {
        eof.insert("time".into(), Value::Null);
    }
    for holder in steady["holders"].as_array_mut().into_iter().flatten() {
        holder["fd_used"] = Value::Null;
    }
    if let Some(listener) = steady["listener"].as_object_mut() {
        listener.insert("last_accept_ns".into(), Value::Null);
        for holder in listener["holders"].as_array_mut().into_iter().flatten() {
            holder["fd_used"] = Value::Null;
        }
    }
    steady
}

/// The leaks of the last report, steady, by cookie.
fn last_report(finished: &Finished, netns: &BTreeSet<u64>) -> Result<Vec<Value>> {
    let objects = finished.objects()?;
    let reports: Vec<_> = objects.split(|object| object["type"] == "summary").collect();
    // Behind the last summary there is nothing.
    let [.., last, []] = reports[..] else { bail!("no whole report") };
    let mine = |leak: &&Value| leak["netns"].as_u64().is_some_and(|own| netns.contains(&own));
    let mut leaks: Vec<Value> =
        last.iter().filter(|own| tool::is_leak(own)).filter(mine).map(steady).collect();
    leaks.sort_by_key(|leak| leak["cookie"].as_u64());
    Ok(leaks)
}

fn wait_file(path: &Path, size: u64) -> Result<()> {
    until("a recording with a look", || {
        Ok(fs::metadata(path).is_ok_and(|file| file.len() > size).then_some(()))
    })
}

/// Server and clients of several kinds of leak, opened while `started` runs.
fn stage(pair: &NetPair) -> Result<Vec<Staged<'_>>> {
    let all = [
        Situation::NEVER_READ,
        Situation::READ_EOF_KEEP,
        Situation::READ_PART,
        Situation::NEVER_ACCEPT,
        Situation::PASS_FD,
        Situation::RST,
        Situation::CLIENT_LEAK,
    ];
    all.into_iter().map(|situation| situation.stage(pair)).collect()
}

/// Live and a recording watch the same leaks come; asked alike, they say the same.
#[test]
fn a_replay_says_what_live_said() -> Result<()> {
    let (dir, pair) = (Dir::new("record-live")?, NetPair::new()?);
    let nobody = Nobody::new(&dir)?;
    let path = dir.file("a.rec");
    let recorder = Running::start(record(&path, &["--interval", "500ms"])?)?;
    recorder.wait_tracing()?;
    let mut live = Running::leaks(&["--interval", "500ms"])?;
    let staged = stage(&pair)?;
    let netns: BTreeSet<u64> = pair.inodes()?.into_iter().collect();
    let sockets: usize = staged.iter().map(|own| own.sockets().map_or(0, |all| all.len())).sum();
    until("a report of all of it", || {
        let objects = live.objects_so_far()?;
        let mut reports = objects.split(|object| object["type"] == "summary").rev();
        let count = |report: &[Value]| {
            let leaks = report.iter().filter(|own| tool::is_leak(own));
            leaks.filter(|own| own["netns"].as_u64().is_some_and(|n| netns.contains(&n))).count()
        };
        Ok((reports.nth(1).map_or(0, count) == sockets).then_some(()))
    })?;
    let live = live.interrupt()?.expect_code(0)?;
    let recorded = recorder.interrupt()?.expect_code(0)?;
    ensure!(recorded.stdout.is_empty(), "it prints nothing");
    let last = recorded.stderr.lines().last().unwrap_or_default();
    ensure!(last.contains("recorded to") && last.contains(" lost"), "{last}");
    ensure!(fs::metadata(&path)?.permissions().mode() & 0o777 == 0o600, "for its owner alone");

    refused(nobody.replay(&path, &[])?, &["Permission denied", "a.rec"])?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
    let replayed = nobody.replay(&path, &["-o", "json", "--min-age", "1s"])?.expect_code(0)?;
    // Namespaces of other tests come and go.
    let gone = "tcptrace: recorded: there are network namespaces that cannot be entered";
    // Where nobody learns who read end-of-file a recording remembers that.
    let unseen = "tcptrace: recorded: tp_btf/sock_recv_length: ";
    let is_seen = host::sees_eof()?;
    let may_say = |line: &str| line.starts_with(gone) || (!is_seen && line.starts_with(unseen));
    ensure!(replayed.stderr.lines().all(may_say), "{}", replayed.stderr);
    let (said, says) = (last_report(&live, &netns)?, last_report(&replayed, &netns)?);
    ensure!(said.len() == sockets, "{} of {sockets}", said.len());
    for (live, replayed) in said.iter().zip(&says) {
        ensure!(live == replayed, "live said\n{live}\nand the replay says\n{replayed}");
    }
    ensure!(said.len() == says.len(), "{} live, {} in the replay", said.len(), says.len());
    let with_stack = |leak: &&Value| leak["open_stack"]["status"] == "ok";
    ensure!(says.iter().any(|leak| with_stack(&leak)), "no stack is there");

    other_questions(&nobody, &path, &pair, &says)
}

/// The same recording, asked something else.
fn other_questions(nobody: &Nobody, path: &Path, pair: &NetPair, all: &[Value]) -> Result<()> {
    let netns: BTreeSet<u64> = pair.inodes()?.into_iter().collect();
    let ask = |options: &[&str]| {
        let json = [&["-o", "json", "--min-age", "0s"][..], options].concat();
        nobody.replay(path, &json)?.expect_code(0)
    };
    let old = nobody.replay(path, &["-o", "json", "--min-age", "1h"])?.expect_code(0)?;
    ensure!(last_report(&old, &netns)?.is_empty(), "nothing is an hour old");
    // Cookies, by which these are sorted, come in batches for each CPU: any may be the first.
    let pid = all.iter().find_map(|leak| leak["holders"][0]["pid"].as_u64());
    let pid = pid.context("no holder")?.to_string();
    let of_pid = last_report(&ask(&["-p", &pid])?, &netns)?;
    ensure!(!of_pid.is_empty() && of_pid.len() < all.len(), "{} of {pid}", of_pid.len());
    let inode = pair.a.inode()?.to_string();
    let here = last_report(&ask(&["--netns", &inode])?, &netns)?;
    let expected = all.iter().filter(|leak| leak["netns"] == pair.a.inode().unwrap_or(0));
    ensure!(here.len() == expected.count(), "{} in {inode}", here.len());
    let without = last_report(&ask(&["--no-stacks"])?, &netns)?;
    ensure!(without.iter().all(|leak| leak["open_stack"]["status"] == "not-traced"));
    for (format, by) in [("table", "process"), ("folded", "stack"), ("svg", "none")] {
        let options = ["--min-age", "0s", "-o", format, "--by", by, "--color", "never"];
        let finished = nobody.replay(path, &options)?.expect_code(0)?;
        ensure!(!finished.stdout.is_empty(), "{format} by {by} is empty");
    }
    let code = nobody.replay(path, &["--once", "--exit-code", "--min-age", "1h"])?;
    code.expect_code(0)?;
    let path_of = pair.a.path().display().to_string();
    refused(nobody.replay(path, &["--netns", &path_of])?, &["inode"])?;
    refused(nobody.replay(path, &["--interval", "1ms"])?, &["--interval", "500ms"])?;
    refused(nobody.replay(path, &["--ring-size", "4096"])?, &["--ring-size", "--replay"])
}

/// Killed in mid-run, a recording has every look up to then.
#[test]
fn a_recorder_that_is_killed_leaves_what_it_had() -> Result<()> {
    let (dir, pair) = (Dir::new("record-kill")?, NetPair::new()?);
    let path = dir.file("a.rec");
    let recorder = Running::start(record(&path, &["--interval", "200ms"])?)?;
    recorder.wait_tracing()?;
    let staged = Situation::NEVER_READ.stage(&pair)?;
    let begun = fs::metadata(&path)?.len();
    wait_file(&path, begun + 3000)?;
    recorder.signal(Signal::SIGKILL)?;
    recorder.finish(DEADLINE)?;
    let finished = replay(&path, &["--min-age", "0s"])?.expect_code(0)?;
    ensure!(finished.stderr.contains("not ended properly"), "{}", finished.stderr);
    let summary = finished.summary()?;
    ensure!(summary["degradations"].to_string().contains("recording-cut"), "{summary}");
    let peer = staged.socket()?.1.port();
    ensure!(finished.leaks()?.iter().any(|leak| leak["remote_port"] == peer), "the leak is lost");
    Ok(())
}

/// One look, made once for the tests that only need a file.
fn sample(dir: &Dir) -> Result<Vec<u8>> {
    let path = dir.file("sample.rec");
    let finished = tool::run(record(&path, &["--once", "--no-stacks"])?)?.expect_code(0)?;
    ensure!(finished.stderr.contains("1 looks"), "{}", finished.stderr);
    Ok(fs::read(path)?)
}

#[test]
fn what_is_cut_off_is_told_and_what_is_damaged_refused() -> Result<()> {
    let dir = Dir::new("record-damage")?;
    let whole = sample(&dir)?;
    let sound = replay(&dir.with("whole.rec", &whole)?, &["--no-stacks"])?.expect_code(0)?;
    ensure!(!sound.stderr.contains("not whole"), "{}", sound.stderr);
    let cut = replay(&dir.with("cut.rec", &whole[..whole.len() - 1])?, &["--no-stacks"])?;
    ensure!(cut.expect_code(0)?.stderr.contains("not whole"), "a byte is missing");
    let stacks = replay(&dir.with("whole.rec", &whole)?, &[])?.expect_code(0)?;
    ensure!(stacks.stderr.contains("no stacks were recorded"), "{}", stacks.stderr);
    let degradations = stacks.summary()?["degradations"].to_string();
    ensure!(degradations.contains("recording-without-stacks"), "{degradations}");

    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 4;
    refused(replay(&dir.with("damaged.rec", &damaged)?, &[])?, &["damaged.rec", "is damaged at"])?;
    let mut newer = whole.clone();
    newer[12] = 9;
    refused(replay(&dir.with("newer.rec", &newer)?, &[])?, &["newer tcptrace", "format 9"])?;
    refused(replay(&dir.with("early.rec", &whole[..100])?, &[])?, &["cut short"])?;
    refused(replay(&dir.with("foreign.rec", b"#!/bin/sh\necho\n")?, &[])?, &["no recording"])?;
    refused(replay(&dir.with("empty.rec", b"")?, &[])?, &["is empty"])?;
    refused(replay(&dir.file("absent.rec"), &[])?, &["absent.rec", "No such file"])?;
    refused(replay(&dir.0, &[])?, &["a directory"])?;
    let fifo = dir.file("fifo");
    mkfifo(&fifo, Mode::S_IRWXU)?;
    refused(replay(&fifo, &[])?, &["no regular file"])?;
    refused(replay(Path::new("/dev/null"), &[])?, &["no regular file"])
}

#[test]
fn a_file_that_is_there_is_left_alone() -> Result<()> {
    let dir = Dir::new("record-there")?;
    let there = dir.with("there.rec", b"precious")?;
    let once = |path: &Path, options: &[&str]| {
        tool::run(record(path, &[&["--once", "--no-stacks"][..], options].concat())?)
    };
    refused(once(&there, &[])?, &["there.rec", "is there already", "--force"])?;
    ensure!(fs::read(&there)? == b"precious");
    let link = dir.file("link.rec");
    symlink(&there, &link)?;
    refused(once(&link, &["--force"])?, &["no regular file"])?;
    refused(once(Path::new("/dev/full"), &["--force"])?, &["no regular file"])?;
    refused(once(&dir.file("no/such.rec"), &[])?, &["such.rec", "No such file"])?;
    ensure!(fs::read(&there)? == b"precious");
    once(&there, &["--force"])?.expect_code(0)?;
    ensure!(fs::metadata(&there)?.permissions().mode() & 0o777 == 0o600, "a file of its own");
    replay(&there, &["--no-stacks"])?.expect_code(0)?;
    Ok(())
}

#[test]
fn standard_output_is_a_place_too() -> Result<()> {
    let dir = Dir::new("record-stdout")?;
    let out = fs::File::create(dir.file("out.rec"))?;
    let status = record(Path::new("-"), &["--once"])?.stdout(out).stderr(Stdio::null()).status()?;
    ensure!(status.code() == Some(0), "{status}");
    replay(&dir.file("out.rec"), &[])?.expect_code(0)?;
    Ok(())
}

/// Where another output's reader has had enough, that of a recording has lost it.
#[test]
fn a_reader_that_goes_away_is_a_failure() -> Result<()> {
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let output = record(Path::new("-"), &["--once"])?.stdout(writer).output()?;
    let said = String::from_utf8(output.stderr)?;
    ensure!(output.status.code() == Some(2), "{}: {said}", output.status);
    ensure!(said.contains("cannot write standard output: whoever read it has gone"), "{said}");
    Ok(())
}

/// A full disk is an error, and what was written before it is readable.
#[test]
fn a_full_disk_ends_it_and_leaves_what_fitted() -> Result<()> {
    let dir = Dir::new("record-full")?;
    let full = fs::OpenOptions::new().write(true).open("/dev/full")?;
    let output = record(Path::new("-"), &["--once"])?.stdout(full).output()?;
    ensure!(output.status.code() == Some(2), "{output:?}");
    let said = String::from_utf8(output.stderr)?;
    ensure!(said.contains("No space left"), "{said}");

    // A disk of 16 KiB in a mount namespace of its own.
    let script = "mount -t tmpfs -o size=16k none \"$1\" && cd \"$1\" || exit 9\n\
                  \"$2\" record a.rec --interval 20ms; status=$?\ncp a.rec \"$3\"; exit $status";
    let (disk, kept) = (dir.file("disk"), dir.file("kept.rec"));
    fs::create_dir(&disk)?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]);
    command.args([&disk, &tool::executable()?, &kept]);
    let finished = tool::run(command)?.expect_code(2)?;
    ensure!(finished.stderr.contains("cannot write a.rec"), "{}", finished.stderr);
    let replayed = replay(&kept, &[])?.expect_code(0)?;
    ensure!(replayed.stderr.contains("not ended properly"), "{}", replayed.stderr);
    ensure!(replayed.summary()?["type"] == "summary");
    Ok(())
}

/// Looks and names take time; what happens meanwhile is recorded too.
#[test]
fn no_event_is_lost_while_a_look_goes_on() -> Result<()> {
    let (dir, pair) = (Dir::new("record-churn")?, NetPair::new()?);
    let path = dir.file("a.rec");
    let mut churn = Churn::prepare(&pair)?;
    let recorder = Running::start(record(&path, &["--interval", "100ms"])?)?;
    recorder.wait_tracing()?;
    churn.start()?;
    let leaked = churn.leaked()?;
    let recorded = recorder.interrupt()?.expect_code(0)?;
    ensure!(!recorded.stderr.contains("ring_full"), "{}", recorded.stderr);
    let events = recorded.stderr.split("a.rec: ").nth(1).context("no count")?;
    let events: u64 = events.split(' ').next().context("no count")?.parse()?;
    // Six at least for each: both sides are opened, established and closed.
    ensure!(events >= 6 * CONNECTIONS, "{events} events");
    let inode = pair.a.inode()?.to_string();
    let report = replay(&path, &["--min-age", "0s", "--no-stacks", "--netns", &inode])?;
    ensure!(report.expect_code(0)?.summary()?["leaks"] == leaked, "not {leaked}");
    Ok(())
}

#[test]
fn duration_ends_a_recording() -> Result<()> {
    let dir = Dir::new("record-duration")?;
    let path = dir.file("a.rec");
    let options = ["--interval", "300ms", "--duration", "3s"];
    tool::run(record(&path, &options)?)?.expect_code(0)?;
    let traced = |options: &[&str]| -> Result<Vec<Duration>> {
        let objects = replay(&path, options)?.expect_code(0)?.objects()?;
        let summaries = objects.iter().filter(|object| object["type"] == "summary");
        let ns = summaries.map(|summary| summary["traced_ns"].as_u64().context("no traced_ns"));
        ns.map(|ns| Ok(Duration::from_nanos(ns?))).collect()
    };
    let all = traced(&[])?;
    ensure!(all.len() >= 2 && all.is_sorted(), "{all:?}");
    ensure!(all.last() >= Some(&Duration::from_secs(2)), "{all:?}");
    ensure!(traced(&["--once"])? == all[..1], "the first");
    ensure!(traced(&["--interval", "1h"])? == all[..1], "none is due before the end");
    Ok(())
}

/// A transition, but for what two programs in the kernel measure each for itself.
fn without_times(line: &Value) -> String {
    let mut line = line.clone();
    for field in ["time", "dwell_ns", "dwell_min_ns", "dwell_max_ns"] {
        line[field] = Value::Null;
    }
    line.to_string()
}

/// The same transitions live and from a recording, and the histogram of their dwells.
#[test]
fn stream_and_hist_read_recordings() -> Result<()> {
    let pair = NetPair::new()?;
    let dir = Dir::new("events")?;
    let file = dir.file("events.rec");
    let (a, b) = (pair.a.inode()?.to_string(), pair.b.inode()?.to_string());
    let place = ["--netns", a.as_str(), "--netns", b.as_str()];
    let mut stream = Stream::with(&place)?;
    let recorder = Running::start(record(&file, &[])?)?;
    recorder.wait_tracing()?;
    let (mut server, mut client) = (Puppet::new(&pair.a)?, Puppet::new(&pair.b)?);
    let at = server.listen(SocketAddr::new(pair.a.v4.into(), 0), 16)?;
    client.connect(at)?;
    server.act("accept")?;
    client.act("close")?;
    std::thread::sleep(Duration::from_millis(300));
    server.act("close")?;
    stream.life_up_to(&Which::of(&pair.b, "active")?.to(at), "TIME_WAIT")?;
    recorder.interrupt()?.expect_code(0)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    let nobody = Nobody::new(&dir)?;
    let replayed = nobody.replay_as("stream", &file, &[&place[..], &["-o", "json"]].concat())?;
    let mut told: Vec<String> = replayed
        .expect_code(0)?
        .objects()?
        .iter()
        .filter(|own| own["type"] == "transition")
        .map(without_times)
        .collect();
    let mut live: Vec<String> = stream
        .finish()?
        .objects()?
        .iter()
        .filter(|own| own["type"] == "transition")
        .map(without_times)
        .collect();
    told.sort();
    live.sort();
    ensure!(told.len() >= 11 && told == live, "live:\n{live:#?}\nreplayed:\n{told:#?}");
    let hist = nobody.replay_as("hist", &file, &[&place[..], &["-o", "json"]].concat())?;
    let objects = hist.expect_code(0)?.objects()?;
    let waited = objects.iter().find(|own| own["state"] == "CLOSE_WAIT").context("CLOSE_WAIT")?;
    let p50 = waited["p50_ns"].as_u64().context("p50")?;
    ensure!(waited["count"] == 1 && (300_000_000..900_000_000).contains(&p50), "{waited}");
    let refusal = nobody.replay_as("stream", &file, &["--cgroup", "/*"])?;
    refused(refusal, &["--cgroup", "--pid or --comm"])
}

/// Connections in two namespaces: one that no recording has seen begin, and some that one does.
struct Situations {
    pair: NetPair,
    puppets: Vec<Puppet>,
}

impl Situations {
    fn new() -> Result<Self> {
        Ok(Self { pair: NetPair::new()?, puppets: Vec::new() })
    }

    fn place(&self) -> Result<[String; 4]> {
        let (a, b) = (self.pair.a.inode()?.to_string(), self.pair.b.inode()?.to_string());
        Ok(["--netns".to_owned(), a, "--netns".to_owned(), b])
    }

    /// A server that has accepted, and its client.
    fn connection(&mut self) -> Result<[&mut Puppet; 2]> {
        let (mut server, mut client) = (Puppet::new(&self.pair.a)?, Puppet::new(&self.pair.b)?);
        let at = server.listen(SocketAddr::new(self.pair.a.v4.into(), 0), 16)?;
        client.connect(at)?;
        server.act("accept")?;
        self.puppets.extend([server, client]);
        let [.., server, client] = &mut self.puppets[..] else { bail!("two were added") };
        Ok([server, client])
    }

    /// One stays ESTABLISHED, one in CLOSE_WAIT (and in FIN_WAIT2 on the other side, which was
    /// closed), one is dead and held, one in TIME_WAIT.
    fn stage(&mut self) -> Result<()> {
        self.connection()?;
        let [_, client] = self.connection()?;
        client.act("close")?;
        let [_, client] = self.connection()?;
        client.act("close-hard")?;
        let [server, client] = self.connection()?;
        client.act("close")?;
        server.act("receive-end")?;
        server.act("close")?;
        Ok(())
    }
}

/// State, name, and number of sockets that are still in it, of the last report.
fn stills(finished: Finished) -> Result<BTreeSet<String>> {
    let objects = finished.expect_code(0)?.objects()?;
    let is = |own: &&Value| own["type"] == "still_in_state" && own["scope"] == "total";
    let number = |own: &Value, field: &str| own[field].as_u64().with_context(|| own.to_string());
    let line = |own: &Value| {
        let count = number(own, "count")? + number(own, "unknown")?;
        Ok(format!("{} {} {count}", own["state"], own["key"]["comm"]))
    };
    objects.iter().filter(is).map(line).collect()
}

/// Who is still in a state is what live says, of sockets from before the recording too.
#[test]
fn hist_of_a_recording_knows_who_is_still_in_a_state() -> Result<()> {
    let mut all = Situations::new()?;
    let dir = Dir::new("still")?;
    let file = dir.file("still.rec");
    let place = all.place()?;
    let options =
        [&["hist", "-o", "json", "--by", "comm"], &place.each_ref().map(String::as_str)[..]];
    let options = options.concat();
    all.connection()?;
    let recorder = Running::start(record(&file, &[])?)?;
    recorder.wait_tracing()?;
    let hist = Running::start(tool::command(&options)?)?;
    hist.wait_tracing()?;
    all.stage()?;
    recorder.interrupt()?.expect_code(0)?;
    let live = stills(hist.interrupt()?)?;
    let mut command = tool::command(&options)?;
    command.arg("--replay").arg(&file);
    let told = stills(tool::run(command)?)?;
    for state in ["LISTEN", "ESTABLISHED", "CLOSE_WAIT", "FIN_WAIT2", "TIME_WAIT", "CLOSE"] {
        let is_there = |all: &BTreeSet<String>| all.iter().any(|own| own.contains(state));
        ensure!(is_there(&live), "no {state}: {live:?}");
    }
    ensure!(told == live, "live:\n{live:#?}\nreplayed:\n{told:#?}");
    let mut command = tool::command(&["hist", "--interval", "1ns", "--replay"])?;
    command.arg(&file);
    refused(tool::run(command)?, &["still.rec", "--interval is too short"])
}

/// A recorder that was killed took no census at its end: what happened since the first one tells.
#[test]
fn hist_of_a_recording_that_was_cut_knows_it_too() -> Result<()> {
    let mut all = Situations::new()?;
    let dir = Dir::new("still-cut")?;
    let file = dir.file("still-cut.rec");
    let place = all.place()?;
    all.connection()?;
    let recorder = Running::start(record(&file, &["--interval", "200ms"])?)?;
    recorder.wait_tracing()?;
    all.stage()?;
    // Each look makes the file longer. The second one begins after all that has happened.
    for _ in 0..4 {
        let length = fs::metadata(&file)?.len();
        until("another look", || Ok((fs::metadata(&file)?.len() > length).then_some(())))?;
    }
    recorder.signal(Signal::SIGKILL)?;
    recorder.finish(DEADLINE)?;
    let mut command = tool::command(&["hist", "-o", "json", "--interval", "50ms"])?;
    let finished = tool::run({
        command.args(&place).arg("--replay").arg(&file);
        command
    })?;
    ensure!(finished.stderr.contains("was not ended properly"), "{}", finished.stderr);
    let objects = finished.objects()?;
    let told = stills(finished)?;
    // Five servers listen. One connection of the six ends that were established is old.
    let expected = [
        "\"CLOSE\" null 1",
        "\"CLOSE_WAIT\" null 1",
        "\"ESTABLISHED\" null 4",
        "\"FIN_WAIT2\" null 1",
        "\"LISTEN\" null 5",
        "\"TIME_WAIT\" null 1",
    ];
    ensure!(told.iter().eq(expected), "{told:#?}");
    let summaries: Vec<_> = objects.iter().filter(|own| own["type"] == "summary").collect();
    let (total, intervals) = summaries.split_last().context("no summary")?;
    let spans: Option<u64> = intervals.iter().map(|own| own["span_ns"].as_u64()).sum();
    ensure!(spans.is_some() && spans == total["span_ns"].as_u64(), "{spans:?} of {total}");
    // All are there, those too in which nothing happened, and the last one is shorter.
    let expected = spans.unwrap_or_default() / 50_000_000 + 1;
    ensure!(intervals.len() as u64 == expected && expected >= 10, "{expected} intervals: {total}");
    Ok(())
}

/// What each command makes of one recording, in each format that the files of `leaks` alone do not
/// show. `UPDATE_GOLDEN=1` rewrites them.
#[test]
fn a_recording_of_lives_gives_the_golden_outputs() -> Result<()> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("recordings");
    let dir = Dir::new("golden")?;
    let log = dir.file("life.hlog");
    let log = log.to_str().context("a path")?;
    for (name, arguments) in [
        ("stream.txt", "stream"),
        ("stream.jsonl", "stream -o json"),
        ("hist.txt", "hist --by comm"),
        ("hist.jsonl", "hist --by remote --interval 30s -o json"),
        ("hist.hlog", &format!("hist --hdr-log {log}")),
    ] {
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        let mut command = tool::command(&arguments)?;
        command.arg("--replay").arg(place.join("life.rec")).env("TZ", "UTC");
        let finished = tool::run(command)?.expect_code(0)?;
        let actual = match name {
            "hist.hlog" => fs::read_to_string(log)?,
            _ => finished.stdout.iter().map(|line| format!("{}\n", line.text())).collect(),
        };
        let path = place.join(format!("life.{name}"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&path, &actual)?;
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        ensure!(actual == expected, "{} differs:\n{actual}", path.display());
    }
    Ok(())
}

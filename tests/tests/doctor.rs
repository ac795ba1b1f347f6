//! Conditions that are really there, in network namespaces with small limits: `doctor` finds each,
//! names the culprit, and finds it no more when it is gone.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tcptrace_tests::actor::Actor;
use tcptrace_tests::crowd::DEAF;
use tcptrace_tests::netns::NetPair;
use tcptrace_tests::situation::Situation;
use tcptrace_tests::tool::{Copy, Finished, command, command_of, run};
use tcptrace_tests::wait::until;

/// Who looks at both namespaces of a test, and at nothing else.
struct Doctor<'a> {
    pair: &'a NetPair,
    options: &'a [&'a str],
}

impl Doctor<'_> {
    fn run(&self) -> Result<Finished> {
        let [a, b] = self.pair.inodes()?;
        let places = format!("{a},{b}");
        let fixed = ["doctor", "-o", "json", "--duration", "300ms", "--netns", &places];
        run(command(&[&fixed[..], self.options].concat())?)?.expect_code(0)
    }

    fn findings(&self) -> Result<Vec<Value>> {
        let objects = self.run()?.objects()?;
        Ok(objects.into_iter().filter(|object| object["type"] == "finding").collect())
    }

    /// Waits until there is a finding that is worse than fine.
    fn wait(&self, id: &str) -> Result<Value> {
        until(id, || Ok(self.findings()?.into_iter().find(|own| own["id"] == id && is_bad(own))))
    }

    /// Waits until there is one that is a warning or worse.
    fn wait_warning(&self, id: &str) -> Result<Value> {
        until(id, || {
            Ok(self.findings()?.into_iter().find(|own| own["id"] == id && is_warning(own)))
        })
    }

    /// Waits until there is none any more, or a notice about the past.
    fn wait_gone(&self, id: &str) -> Result<()> {
        self.wait_until_none(id, is_warning)
    }

    /// Waits until it looks fine.
    fn wait_fine(&self, id: &str) -> Result<()> {
        self.wait_until_none(id, is_bad)
    }

    fn wait_until_none(&self, id: &str, is_meant: impl Fn(&Value) -> bool) -> Result<()> {
        until(&format!("no more {id}"), || {
            let is_left = |own: &Value| own["id"] == id && is_meant(own);
            Ok((!self.findings()?.iter().any(is_left)).then_some(()))
        })
    }
}

fn doctor(pair: &NetPair) -> Doctor<'_> {
    Doctor { pair, options: &[] }
}

fn is_bad(finding: &Value) -> bool {
    finding["severity"] != "ok"
}

fn is_warning(finding: &Value) -> bool {
    finding["severity"] == "warning" || finding["severity"] == "critical"
}

fn blames(finding: &Value, pid: u32) -> bool {
    finding["culprits"].as_array().is_some_and(|all| all.iter().any(|own| own["pid"] == pid))
}

fn changes(finding: &Value) -> Vec<&str> {
    let changes = finding["changes"].as_array().into_iter().flatten();
    changes.filter_map(|change| change["sysctl"].as_str()).collect()
}

/// A server and a client, and the address of the server's only listener.
fn two(pair: &NetPair, backlog: &str) -> Result<(Actor, Actor, SocketAddr)> {
    let (mut server, client) = (Actor::spawn(&pair.a)?, Actor::spawn(&pair.b)?);
    let to = SocketAddr::new(pair.a.v4.into(), 8000);
    server.tell(&format!("listen web {to} {backlog}"))?;
    Ok((server, client, to))
}

fn connect(
    server: &mut Actor,
    client: &mut Actor,
    group: &str,
    to: SocketAddr,
    count: u32,
) -> Result<()> {
    server.begin(&format!("accept {group} web {count}"))?;
    client.tell(&format!("connect {group} {to} {count}"))?;
    server.wait()
}

/// Traffic as it should be: nothing to say but that it looks fine, topic for topic.
#[test]
fn a_healthy_host_is_told_so() -> Result<()> {
    let pair = NetPair::new()?;
    let (mut server, mut client, to) = two(&pair, "64")?;
    connect(&mut server, &mut client, "work", to, 5)?;
    let [a, b] = pair.inodes()?;
    let places = format!("{a},{b}");
    let finished = run(command(&["doctor", "-o", "json", "--exit-code", "--netns", &places])?)?;
    let finished = finished.expect_code(0)?;
    let summary = finished.summary()?;
    ensure!(summary["warnings"] == 0 && summary["critical"] == 0, "{summary}");
    ensure!(
        summary["namespaces"] == 2 && summary["degradations"] == serde_json::json!([]),
        "{summary}"
    );
    let objects = finished.objects()?;
    let fine = objects.iter().filter(|own| own["severity"] == "ok");
    let fine: Vec<_> = fine.filter_map(|own| own["id"].as_str()).collect();
    for id in ["close-wait", "dead-sockets", "accept-queue", "ephemeral-ports", "time-wait"] {
        ensure!(fine.contains(&id), "nothing is said of {id}: {fine:?}");
    }
    let whole = run(command(&["doctor", "-o", "json", "--duration", "100ms"])?)?.expect_code(0)?;
    let objects = whole.objects()?;
    for id in ["orphans", "tcp-memory", "file-table"] {
        ensure!(objects.iter().any(|own| own["id"] == id), "nothing is said of {id}");
    }
    Ok(())
}

#[test]
fn close_wait_names_the_holder_and_what_keepalive_does() -> Result<()> {
    let pair = NetPair::new()?;
    let looking = Doctor { pair: &pair, options: &["--min-age", "1s"] };
    let mut staged = Situation::KEEPALIVE.stage(&pair)?;
    let found = looking.wait("close-wait")?;
    ensure!(is_warning(&found) && blames(&found, staged.server.pid()), "{found:#}");
    ensure!(found["evidence"]["sockets"] == 1 && found["evidence"]["keepalive"] == 1, "{found:#}");
    let fires = found["evidence"]["keepalive_first_ns"].as_u64().context("no time")?;
    ensure!(fires <= 1_100_000_000, "{found:#}");
    ensure!(found["leave"].as_str().is_some_and(|text| text.contains("No sysctl")), "{found:#}");
    staged.server.tell("close")?;
    looking.wait_gone("close-wait")
}

#[test]
fn dead_sockets_are_found() -> Result<()> {
    let pair = NetPair::new()?;
    let looking = Doctor { pair: &pair, options: &["--min-age", "1s"] };
    let mut staged = Situation::RST_READ.stage(&pair)?;
    let found = looking.wait("dead-sockets")?;
    ensure!(blames(&found, staged.server.pid()), "{found:#}");
    staged.server.tell("close")?;
    looking.wait_gone("dead-sockets")
}

/// somaxconn 2: the kernel cuts what the program asked for.
#[test]
fn a_full_accept_queue_names_who_does_not_accept() -> Result<()> {
    let pair = NetPair::new()?;
    pair.a.set("net.core.somaxconn", "2")?;
    let (server, mut client, to) = two(&pair, "64")?;
    client.tell(&format!("connect waiting {to} 3"))?;
    let found = doctor(&pair).wait_warning("accept-queue")?;
    ensure!(is_warning(&found) && blames(&found, server.pid()), "{found:#}");
    let evidence = &found["evidence"];
    ensure!(evidence["waiting"] == 3 && evidence["limit"] == 2, "{found:#}");
    ensure!(evidence["local_port"] == 8000 && evidence["somaxconn"] == 2, "{found:#}");
    ensure!(changes(&found) == ["net.core.somaxconn"], "{found:#}");
    drop(server);
    doctor(&pair).wait_gone("accept-queue")
}

/// The same queue where the program itself has asked for little: no sysctl helps.
#[test]
fn a_short_queue_of_the_programs_own_is_no_matter_of_somaxconn() -> Result<()> {
    let pair = NetPair::new()?;
    let (server, mut client, to) = two(&pair, "2")?;
    client.tell(&format!("connect waiting {to} 3"))?;
    let found = doctor(&pair).wait_warning("accept-queue")?;
    ensure!(blames(&found, server.pid()) && changes(&found).is_empty(), "{found:#}");
    let place = pair.a.inode()?.to_string();
    let args = ["doctor", "--exit-code", "--duration", "300ms", "--netns", &place];
    let finished = run(command(&args)?)?.expect_code(1)?;
    let text: String = finished.stdout.iter().map(|line| line.text() + "\n").collect();
    ensure!(text.contains("\nWARNING  accept-queue"), "{text}");
    ensure!(
        text.lines().all(|line| line.chars().count() <= 100 || line.starts_with("    ")),
        "{text}"
    );
    Ok(())
}

/// Twenty ports, most of them in TIME_WAIT.
#[test]
fn ports_that_run_out_name_the_client() -> Result<()> {
    let pair = NetPair::new()?;
    pair.b.protect_time_wait()?;
    pair.b.set("net.ipv4.ip_local_port_range", "40000 40019")?;
    let (mut server, mut client, to) = two(&pair, "64")?;
    connect(&mut server, &mut client, "kept", to, 2)?;
    connect(&mut server, &mut client, "over", to, 16)?;
    client.tell("close over")?;
    server.tell("await-close over")?;
    server.tell("close over")?;
    let mut last = Vec::new();
    let found = until("ports in TIME_WAIT", || {
        last = doctor(&pair).findings()?;
        last.retain(|own| own["id"] == "ephemeral-ports");
        Ok(last.iter().find(|own| is_bad(own) && own["evidence"]["time_wait"] == 16).cloned())
    });
    let found = found.with_context(|| format!("last: {last:?}"))?;
    ensure!(is_warning(&found) && blames(&found, client.pid()), "{found:#}");
    let evidence = &found["evidence"];
    ensure!(evidence["used"] == 18 && evidence["ports"] == 20, "{found:#}");
    ensure!(evidence["to"] == to.to_string(), "{found:#}");
    ensure!(found["netns"] == pair.b.inode()?, "{found:#}");
    ensure!(
        changes(&found) == ["net.ipv4.tcp_tw_reuse", "net.ipv4.ip_local_port_range"],
        "{found:#}"
    );
    pair.b.set("net.ipv4.ip_local_port_range", "32768 60999")?;
    doctor(&pair).wait_gone("ephemeral-ports")
}

/// 64 buckets. TIME_WAIT itself is fine, and it is said who closes first.
#[test]
fn time_wait_is_harmless_until_its_buckets_run_out() -> Result<()> {
    let pair = NetPair::new()?;
    pair.a.protect_time_wait()?;
    pair.a.set("net.ipv4.tcp_max_tw_buckets", "64")?;
    let (mut server, mut client, to) = two(&pair, "256")?;
    connect(&mut server, &mut client, "over", to, 60)?;
    server.tell("close over")?;
    client.tell("await-close over")?;
    client.tell("close over")?;
    let found = doctor(&pair).wait("time-wait-buckets")?;
    ensure!(is_warning(&found) && found["evidence"]["limit"] == 64, "{found:#}");
    ensure!(
        found["evidence"]["used"].as_u64().is_some_and(|used| (52..=64).contains(&used)),
        "{found:#}"
    );
    pair.a.set("net.ipv4.tcp_max_tw_buckets", "4096")?;
    doctor(&pair).wait_gone("time-wait-buckets")?;
    let findings = doctor(&pair).findings()?;
    let fine = findings.iter().find(|own| own["id"] == "time-wait").context("nothing")?;
    ensure!(fine["severity"] == "ok" && blames(fine, server.pid()), "{fine:#}");
    ensure!(fine["evidence"]["sockets"].as_u64().is_some_and(|count| count >= 52), "{fine:#}");
    Ok(())
}

/// RLIMIT_NOFILE 32.
#[test]
fn descriptors_that_run_out_name_the_process() -> Result<()> {
    let pair = NetPair::new()?;
    let (mut server, mut client, to) = two(&pair, "64")?;
    server.tell("limit-files 32")?;
    connect(&mut server, &mut client, "many", to, 24)?;
    let found = doctor(&pair).wait("file-descriptors")?;
    ensure!(is_warning(&found) && blames(&found, server.pid()), "{found:#}");
    let evidence = &found["evidence"];
    ensure!(evidence["limit"] == 32 && evidence["tcp_sockets"] == 25, "{found:#}");
    ensure!(evidence["used"].as_u64().is_some_and(|used| (28..32).contains(&used)), "{found:#}");
    let command = found["advice"].to_string();
    ensure!(command.contains(&format!("prlimit --pid {}", server.pid())), "{found:#}");
    server.tell("close many")?;
    doctor(&pair).wait_gone("file-descriptors")
}

/// A destination that answers nothing, and who waits for it.
#[test]
fn connects_that_nobody_answers() -> Result<()> {
    let pair = NetPair::new()?;
    pair.b.ip(&["neigh", "add", "10.77.0.99", "lladdr", "02:00:00:00:00:99", "dev", "veth0"])?;
    let mut client = Actor::spawn(&pair.b)?;
    client.tell(&format!("dial hole 10.77.0.99:80 4 from {}", pair.b.v4))?;
    let found = doctor(&pair).wait("syn-sent")?;
    ensure!(is_warning(&found) && blames(&found, client.pid()), "{found:#}");
    ensure!(found["evidence"]["to"] == "10.77.0.99:80", "{found:#}");
    client.tell("close hole")?;
    doctor(&pair).wait_gone("syn-sent")
}

/// Handshakes whose last packet never comes: the queue is full, the kernel sends cookies.
#[test]
fn handshakes_that_do_not_end() -> Result<()> {
    let pair = NetPair::new()?;
    pair.b.ip(&["address", "add", &format!("{DEAF}/32"), "dev", "veth0"])?;
    pair.a.ip(&["neigh", "replace", DEAF, "lladdr", "02:00:00:00:00:98", "dev", "veth0"])?;
    pair.a.set("net.core.somaxconn", "4096")?;
    let (server, mut client, to) = two(&pair, "4096")?;
    client.tell(&format!("dial half-open {to} 300 from {DEAF}"))?;
    let found = doctor(&pair).wait_warning("syn-queue")?;
    ensure!(is_warning(&found) && blames(&found, server.pid()), "{found:#}");
    let evidence = &found["evidence"];
    for key in ["syn_recv", "unanswered"] {
        ensure!(evidence[key].as_u64().is_some_and(|count| count >= 256), "{found:#}");
    }
    client.tell("close half-open")?;
    drop(server);
    doctor(&pair).wait_gone("syn-queue")
}

/// The server has closed and its FIN gets lost, again and again.
#[test]
fn closes_that_nobody_acknowledges() -> Result<()> {
    let pair = NetPair::new()?;
    pair.b.ip(&["address", "add", &format!("{DEAF}/32"), "dev", "veth0"])?;
    let (mut server, mut client, to) = two(&pair, "64")?;
    server.begin("accept stuck web 3")?;
    client.tell(&format!("connect stuck {to} 3 from {DEAF}"))?;
    server.wait()?;
    pair.a.ip(&["neigh", "replace", DEAF, "lladdr", "02:00:00:00:00:98", "dev", "veth0"])?;
    server.tell("close stuck")?;
    let found = doctor(&pair).wait("stuck-close")?;
    ensure!(found["evidence"]["sockets"] == 3 && found["evidence"]["orphans"] == 3, "{found:#}");
    ensure!(found["severity"] == "notice" && found.to_string().contains(DEAF), "{found:#}");
    pair.a.ip(&["neigh", "del", DEAF, "dev", "veth0"])?;
    doctor(&pair).wait_fine("stuck-close")
}

/// A second is idle here, hours elsewhere.
#[test]
fn idle_connections_without_keepalive() -> Result<()> {
    let pair = NetPair::new()?;
    let (mut server, mut client, to) = two(&pair, "64")?;
    connect(&mut server, &mut client, "idle", to, 2)?;
    let looking = Doctor { pair: &pair, options: &["--min-idle", "1s"] };
    let found = looking.wait("idle-no-keepalive")?;
    ensure!(found["severity"] == "notice" && found["evidence"]["sockets"] == 2, "{found:#}");
    let all = looking.findings()?;
    let named = |pid| all.iter().any(|own| own["id"] == "idle-no-keepalive" && blames(own, pid));
    ensure!(named(server.pid()) && named(client.pid()), "{all:#?}");
    let fine = doctor(&pair).findings()?;
    ensure!(!fine.iter().any(|own| own["id"] == "idle-no-keepalive" && is_bad(own)), "{fine:#?}");
    client.tell("close idle")?;
    looking.wait_fine("idle-no-keepalive")
}

/// A server that leaks the connections of clients on its own host: the clients' ports come again,
/// and then the leaked sockets are reset.
#[test]
fn ports_of_leaked_connections_on_the_same_host() -> Result<()> {
    let pair = NetPair::new()?;
    pair.a.set("net.ipv4.tcp_fin_timeout", "1")?;
    pair.a.set("net.ipv4.ip_local_port_range", "40000 40003")?;
    let (mut server, mut client) = (Actor::spawn(&pair.a)?, Actor::spawn(&pair.a)?);
    let to: SocketAddr = "127.0.0.1:8000".parse()?;
    server.tell(&format!("listen web {to}"))?;
    connect(&mut server, &mut client, "leak", to, 3)?;
    client.tell("close leak")?;
    // As long as the client's side is in FIN_WAIT2 its port is not given out again.
    let found = until("three leaked sockets", || {
        let all = doctor(&pair).findings()?.into_iter();
        let mut leaked = all.filter(|own| own["id"] == "leaked-ports");
        Ok(leaked.find(|own| is_bad(own) && own["evidence"]["sockets"] == 3))
    })?;
    ensure!(blames(&found, server.pid()) && !blames(&found, client.pid()), "{found:#}");
    ensure!(found["severity"] == "notice", "{found:#}");
    connect(&mut server, &mut client, "again", to, 4)?;
    doctor(&pair).wait_fine("leaked-ports")?;
    let dead = Doctor { pair: &pair, options: &["--min-age", "0s"] }.wait("dead-sockets")?;
    ensure!(dead["evidence"]["sockets"] == 3 && blames(&dead, server.pid()), "{dead:#}");
    Ok(())
}

/// What was asked for and is not there is no healthy host.
#[test]
fn a_namespace_that_is_not_there_is_said() -> Result<()> {
    let pair = NetPair::new()?;
    // That of one that has gone may be another's by now.
    let gone = "1";
    let only = run(command(&["doctor", "--duration", "100ms", "--netns", gone])?)?;
    ensure!(only.expect_code(2)?.stderr.contains("nothing can be seen"));
    let both = format!("{},{gone}", pair.a.inode()?);
    let finished =
        run(command(&["doctor", "-o", "json", "--duration", "100ms", "--netns", &both])?)?;
    let summary = finished.expect_code(0)?.summary()?;
    ensure!(summary["namespaces"] == 1, "{summary}");
    ensure!(summary["degradations"].to_string().contains("namespace-not-found"), "{summary}");
    Ok(())
}

/// Sockets in TIME_WAIT are left when no process is: what is printed changes that namespace and not
/// the one where it is pasted.
#[test]
fn a_command_for_a_namespace_without_processes_goes_there() -> Result<()> {
    let pair = NetPair::new()?;
    pair.b.protect_time_wait()?;
    pair.b.set("net.ipv4.ip_local_port_range", "40000 40009")?;
    let (mut server, mut client, to) = two(&pair, "64")?;
    connect(&mut server, &mut client, "over", to, 9)?;
    client.tell("close over")?;
    server.tell("await-close over")?;
    server.tell("close over")?;
    drop(client);
    let found = doctor(&pair).wait_warning("ephemeral-ports")?;
    let commands = found["advice"].as_array().into_iter().flatten();
    let commands: Vec<_> = commands.filter_map(|own| own["command"].as_str()).collect();
    let prefix = format!("nsenter --net={} sysctl -w ", pair.b.path().display());
    ensure!(
        commands.len() == 2 && commands.iter().all(|own| own.starts_with(&prefix)),
        "{found:#}"
    );
    let widen = commands.iter().find(|own| own.contains("ip_local_port_range")).context("none")?;
    let status = std::process::Command::new("sh")
        .args(["-c", widen])
        .stdout(std::process::Stdio::null())
        .status()?;
    ensure!(status.success(), "{widen}: {status}");
    doctor(&pair).wait_gone("ephemeral-ports")
}

/// A user without rights gets the own namespace and is told what is not seen.
#[test]
fn without_root_it_says_what_it_cannot_see() -> Result<()> {
    let pair = NetPair::new()?;
    let mut staged = Situation::READ_EOF_KEEP.stage(&pair)?;
    let copy = Copy::new()?;
    let place = pair.a.open()?;
    let finished = until("the leak", || {
        let options = ["doctor", "-o", "json", "--duration", "100ms", "--min-age", "1s"];
        let mut command = command_of(&copy.path(), &options);
        let place = place.try_clone()?;
        // SAFETY: between fork and exec only setns(2) is called, before the ids are changed, and on
        // error only the errno is turned into an io::Error, without allocating.
        unsafe {
            command.pre_exec(move || {
                nix::sched::setns(&place, nix::sched::CloneFlags::CLONE_NEWNET)?;
                nix::unistd::setgid(65_534.into())?;
                Ok(nix::unistd::setuid(65_534.into())?)
            });
        }
        let finished = run(command)?.expect_code(0)?;
        let found = finished.objects()?;
        let is_leak = |own: &Value| own["id"] == "close-wait" && is_warning(own);
        Ok(found.iter().any(is_leak).then_some(finished))
    })?;
    let summary = finished.summary()?;
    let lacks = summary["degradations"].to_string();
    for token in ["no-kernel-side", "own-namespace-only", "other-users-hidden"] {
        ensure!(lacks.contains(token), "{summary}");
    }
    ensure!(summary["namespaces"] == 1, "{summary}");
    let dead = finished.objects()?.iter().any(|own| own["id"] == "dead-sockets");
    ensure!(!dead, "what cannot be seen is not called fine");
    staged.server.tell("close")
}

/// One setting or topic; a file of somebody's advice; and what is neither.
#[test]
fn settings_are_explained_and_files_checked() -> Result<()> {
    let explain = |name: &str| run(command(&["doctor", "--explain", name])?);
    for (name, word) in [("tcp_tw_recycle", "4.12"), ("accept-queue", "sk_acceptq_is_full")] {
        let finished = explain(name)?.expect_code(0)?;
        let text: String = finished.stdout.iter().map(|line| line.text() + "\n").collect();
        ensure!(text.contains(word), "{name}: {text}");
    }
    for file in ["/dev/zero", "/proc/self/no-such", "/tmp"] {
        let refused = run(command(&["doctor", "--sysctl-file", file])?)?.expect_code(2)?;
        ensure!(refused.stderr.contains(file), "{}", refused.stderr);
    }
    let unknown = explain("tcp_magic")?.expect_code(2)?;
    ensure!(unknown.stderr.contains("accept-queue"), "{}", unknown.stderr);
    let pair = NetPair::new()?;
    let file = std::env::temp_dir().join(format!("tcptrace-advice-{}", std::process::id()));
    fs::write(
        &file,
        "# fixes everything\nnet.ipv4.tcp_tw_recycle = 1\nnet.ipv4.tcp_fin_timeout=60\n\
         net.ipv4.tcp_syncookies = 0\nnet.ipv4.tcp_magic = 1\n\x1b[31m\n",
    )?;
    let path = file.display().to_string();
    let finished = Doctor { pair: &pair, options: &["--sysctl-file", &path] }.run();
    fs::remove_file(&file)?;
    let objects = finished?.objects()?;
    let lines = objects.iter().filter(|own| own["type"] == "sysctl_line");
    let verdicts: Vec<_> =
        lines.map(|own| (own["line"].as_u64(), own["verdict"].as_str())).collect();
    let wanted = [(2, "gone"), (3, "same"), (4, "harmful"), (5, "unknown"), (6, "malformed")];
    let wanted: Vec<_> = wanted.iter().map(|(line, word)| (Some(*line), Some(*word))).collect();
    ensure!(verdicts == wanted, "{verdicts:?}");
    Ok(())
}

/// In a namespace that was just made every setting of its own has the default of its kernel.
#[test]
fn the_known_defaults_are_those_of_a_fresh_namespace() -> Result<()> {
    let pair = NetPair::new()?;
    let place = pair.b.open()?;
    let mut command = command(&["doctor", "-o", "json", "--duration", "100ms"])?;
    // SAFETY: between fork and exec only setns(2) is called, which is async-signal-safe, and on
    // error only the errno is turned into an io::Error, without allocating.
    unsafe {
        command
            .pre_exec(move || Ok(nix::sched::setns(&place, nix::sched::CloneFlags::CLONE_NEWNET)?));
    }
    let objects = run(command)?.expect_code(0)?.objects()?;
    let settings: Vec<_> = objects.iter().filter(|own| own["type"] == "sysctl").collect();
    ensure!(settings.len() >= 25, "{settings:#?}");
    // These begin with the values of the first namespace, which somebody may have changed.
    let inherited = ["net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"];
    let mut known = 0;
    for own in settings {
        let name = own["name"].as_str().unwrap_or_default();
        let is_own = name.starts_with("net.ipv4.") && !inherited.contains(&name);
        if own["value"].is_string() && own["default"].is_string() && is_own {
            ensure!(own["value"] == own["default"], "{own:#}");
            known += 1;
        }
    }
    ensure!(known >= 15, "only {known} defaults are known");
    Ok(())
}

//! nginx as a proxy: its worker accepts, and connects upstream.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::build::package_dir;
use super::event::{Kind, Ports};
use super::peers::Peers;
use super::target::{Target, Way};
use crate::netns::NetPair;
use crate::scenario::Scenario;
use crate::ss;
use crate::tool::target_dir;
use crate::wait::until;

const PORT: u16 = 8080;
/// Where Debian installs it, which a user's `PATH` lacks, and where `cargo xtask setup` unpacks
/// it, seen from this package.
const PLACES: [&str; 2] = ["/usr/sbin/nginx", "../target/tools/nginx/usr/sbin/nginx"];

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// nginx with one worker. A frozen worker cannot close what its peers closed.
pub struct Nginx<'a> {
    master: Scenario,
    worker: u32,
    peers: Peers<'a>,
    _home: Home,
}

impl<'a> Nginx<'a> {
    /// Starts it in namespace `a`.
    pub fn start(pair: &'a NetPair) -> Result<Self> {
        let peers = Peers::new(pair)?;
        let home = Home::new(&configuration(pair, &peers)?)?;
        let mut command = Command::new(program());
        command.args(["-e", "stderr", "-c", "nginx.conf", "-p"]).arg(&home.0);
        let master = Scenario::start(&pair.a, command)?;
        until("nginx to listen", || {
            let all = ss::sockets(&pair.a)?;
            Ok(all.iter().any(|socket| socket.state == "LISTEN").then_some(()))
        })?;
        let worker = until("nginx's worker", || worker(master.pid()))?;
        Ok(Self { master, worker, peers, _home: home })
    }

    fn signal_worker(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.worker as i32), signal)?)
    }
}

impl Target for Nginx<'_> {
    fn pid(&self) -> u32 {
        self.worker
    }

    /// Whatever the way, it accepts a request and connects upstream.
    fn go(&mut self, _: Way) -> Result<Vec<(Kind, Ports)>> {
        let accepted = self.peers.connect(PORT)?;
        self.peers.last()?.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let connected = self.peers.accept()?;
        Ok(vec![(Kind::Accept, accepted), (Kind::Connect, connected)])
    }

    fn leak(&mut self) -> Result<()> {
        self.signal_worker(Signal::SIGSTOP)?;
        self.peers.close_all();
        Ok(())
    }
}

impl Drop for Nginx<'_> {
    fn drop(&mut self) {
        // Where it is gone already, that is what is wanted.
        let _ = kill(Pid::from_raw(self.master.pid() as i32), Signal::SIGTERM);
        let _ = self.signal_worker(Signal::SIGCONT);
    }
}

fn program() -> PathBuf {
    let mut places = PLACES.iter().map(|place| package_dir().join(place));
    places.find(|place| place.exists()).unwrap_or_else(|| "nginx".into())
}

/// The directory with its configuration; removed on drop.
struct Home(PathBuf);

impl Home {
    fn new(configuration: &str) -> Result<Self> {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("nginx-{}-{count}", std::process::id());
        let home = Self(target_dir()?.join("programs").join(name));
        fs::create_dir_all(&home.0)?;
        fs::write(home.0.join("nginx.conf"), configuration)?;
        Ok(home)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("remove {}: {error}", self.0.display());
        }
    }
}

fn configuration(pair: &NetPair, peers: &Peers<'_>) -> Result<String> {
    let (upstream, port) = peers.address()?;
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|what| format!("    {what}_temp_path {what};\n"))
        .collect();
    Ok(format!(
        "user root;\ndaemon off;\nworker_processes 1;\npid nginx.pid;\nevents {{}}\nhttp {{\n    \
         access_log off;\n{temporary}    server {{\n        listen {}:{PORT};\n        location / \
         {{ proxy_pass http://{upstream}:{port}; }}\n    }}\n}}\n",
        pair.a.v4
    ))
}

/// The pid of the master's only child, once it calls itself a worker.
fn worker(master: u32) -> Result<Option<u32>> {
    let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children"))
        .context("is nginx still there?")?;
    let Some(pid) = children.split_whitespace().next() else {
        return Ok(None);
    };
    let title = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    Ok(if title.starts_with("nginx: worker") { Some(pid.parse()?) } else { None })
}

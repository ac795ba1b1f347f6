//! Network namespaces that exist as long as a test does.

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use nix::sched::{CloneFlags, setns};

const RUN_DIR: &str = "/run/netns";
const PREFIX: &str = "tt";

static COUNTER: AtomicU32 = AtomicU32::new(0);
/// `ip netns add` prepares its directory on first use, and two at once can trip over each other.
static CREATING: Mutex<()> = Mutex::new(());

/// One named network namespace, removed on drop.
pub struct Netns {
    name: String,
    /// Its address on the veth pair.
    pub v4: Ipv4Addr,
    /// Its IPv6 address on the veth pair.
    pub v6: Ipv6Addr,
}

impl Netns {
    fn new(suffix: &str, v4: Ipv4Addr, v6: Ipv6Addr) -> Result<Self> {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{}-{count}{suffix}", std::process::id());
        ip(&["netns", "add", &name], "")?;
        Ok(Self { name, v4, v6 })
    }

    /// The name that `ip netns` knows.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it, as `--netns` takes it.
    pub fn path(&self) -> PathBuf {
        Path::new(RUN_DIR).join(&self.name)
    }

    /// The inode number, by which the kernel and the tool call it.
    pub fn inode(&self) -> Result<u64> {
        Ok(self.open()?.metadata()?.ino())
    }

    /// The file that stands for it, open for `setns`.
    pub fn open(&self) -> Result<File> {
        let path = self.path();
        File::open(&path).with_context(|| format!("open {}", path.display()))
    }

    /// Does something in this namespace, in a thread of its own. Sockets that it makes stay there.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let place = self.open()?;
        let enter = || {
            setns(place, CloneFlags::CLONE_NEWNET)?;
            work()
        };
        let done = std::thread::scope(|scope| scope.spawn(enter).join());
        done.unwrap_or_else(|_| bail!("a thread in {} panicked", self.name))
    }

    /// Changes it with ip(8): `neigh add …`.
    pub fn ip(&self, args: &[&str]) -> Result<()> {
        ip(&[&["-n", &self.name], args].concat(), "")
    }

    /// Sets a sysctl of this namespace: `net.core.somaxconn`.
    pub fn set(&self, sysctl: &str, value: &str) -> Result<()> {
        let path = Path::new("/proc/sys").join(sysctl.replace('.', "/"));
        self.inside(|| {
            fs::write(&path, value).with_context(|| format!("{} = {value}", path.display()))
        })
    }

    /// Lets TIME_WAIT last as long as it should, on a slow machine too. There a peer may send its FIN
    /// again before it has the acknowledgement; TIME_WAIT acknowledges it again, the peer's closed
    /// socket answers that with RST, and RST ends TIME_WAIT unless this is set (RFC 1337).
    pub fn protect_time_wait(&self) -> Result<()> {
        self.set("net.ipv4.tcp_rfc1337", "1")
    }

    fn configure(&self, route: &str) -> Result<()> {
        let lines = [
            "link set lo up".to_owned(),
            format!("address add {}/24 dev veth0", self.v4),
            format!("address add {}/64 dev veth0 nodad", self.v6),
            "link set veth0 up".to_owned(),
            route.to_owned(),
        ];
        ip(&["-n", &self.name, "-batch", "-"], &lines.join("\n"))
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Two namespaces joined by a cable: a server's and a client's.
pub struct NetPair {
    /// Where servers run.
    pub a: Netns,
    /// Where clients run.
    pub b: Netns,
}

impl NetPair {
    /// Clients in `b` may also bind any address of this /24; `a` knows the way back.
    pub const SOURCES: Ipv4Addr = Ipv4Addr::new(10, 78, 0, 0);

    /// Makes both, cabled, with addresses, loopback up. Needs root.
    ///
    /// Every pair uses the same addresses on purpose: a tool that tells sockets apart by their
    /// addresses alone mixes up two tests.
    pub fn new() -> Result<Self> {
        let _one_at_a_time = CREATING.lock().unwrap_or_else(PoisonError::into_inner);
        sweep();
        let a = Netns::new("a", Ipv4Addr::new(10, 77, 0, 1), "fd77::1".parse()?)?;
        let b = Netns::new("b", Ipv4Addr::new(10, 77, 0, 2), "fd77::2".parse()?)?;
        let cable = ["link", "add", "veth0", "netns", &a.name, "type", "veth"];
        ip(&[&cable[..], &["peer", "name", "veth0", "netns", &b.name]].concat(), "")?;
        let sources = Self::SOURCES;
        a.configure(&format!("route add {sources}/24 via {}", b.v4))?;
        b.configure(&format!("route add local {sources}/24 dev lo"))?;
        Ok(Self { a, b })
    }

    /// Both namespaces.
    pub fn both(&self) -> [&Netns; 2] {
        [&self.a, &self.b]
    }

    /// From now on packets are taken up on any CPU, by interrupts that come at any moment (RPS), as
    /// those of a network card do. `false`: this kernel cannot do that.
    pub fn interrupt(&self) -> Result<bool> {
        let cpus = std::thread::available_parallelism()?.get().min(31);
        let mask = format!("{:x}", (1_u32 << cpus) - 1);
        // In each namespace ip(8) mounts the sysfs that shows its devices.
        let script = format!("echo {mask} > /sys/class/net/veth0/queues/rx-0/rps_cpus");
        let mut is_possible = true;
        for ns in self.both() {
            let shell = ["netns", "exec", &ns.name, "sh", "-c", &script];
            let done = Command::new("ip").args(shell).stderr(Stdio::null()).status();
            is_possible &= done.context("start ip")?.success();
        }
        Ok(is_possible)
    }

    /// The inode numbers of both.
    pub fn inodes(&self) -> Result<[u64; 2]> {
        Ok([self.a.inode()?, self.b.inode()?])
    }
}

/// Removes namespaces of test processes that were killed before they could.
fn sweep() {
    let Ok(entries) = fs::read_dir(RUN_DIR) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if owner(&name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists()) {
            remove(&name);
        }
    }
}

/// The pid in a name that this module gave.
fn owner(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split_once('-')?.0.parse().ok()
}

fn remove(name: &str) {
    if let Err(error) = ip(&["netns", "delete", name], "") {
        eprintln!("{error:#}");
    }
}

fn ip(args: &[&str], batch: &str) -> Result<()> {
    let mut child = Command::new("ip")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("start ip (package iproute2)")?;
    child.stdin.take().context("stdin of ip")?.write_all(batch.as_bytes())?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ip {}: {}", args.join(" "), said.trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_their_owner() {
        assert_eq!(owner("tt4711-3a"), Some(4711));
        assert_eq!(owner("ttyS0"), None);
        assert_eq!(owner("customer-net"), None);
    }

    #[test]
    fn a_pair_is_reachable_and_goes_away() {
        let pair = NetPair::new().unwrap();
        assert_ne!(pair.a.inode().unwrap(), pair.b.inode().unwrap());
        for address in [pair.b.v4.to_string(), pair.b.v6.to_string()] {
            let answer = Command::new("ip")
                .args(["-n", pair.a.name(), "route", "get", &address])
                .output()
                .unwrap();
            assert!(String::from_utf8_lossy(&answer.stdout).contains("veth0"), "{answer:?}");
        }
        let path = pair.a.path();
        drop(pair);
        assert!(!path.exists());
    }
}

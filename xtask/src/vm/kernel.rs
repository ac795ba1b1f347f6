//! The kernels that are booted: Debian's, unpacked below `target/vm` and never installed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::archive::Archive;
use super::modules::Modules;
use crate::step;

/// What tcptrace does on a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It works.
    Works,
    /// It says in one line, with this word, what is missing, and stops.
    Refuses(&'static str),
}

/// A kernel of the archive.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    /// What `--kernel` takes.
    pub name: &'static str,
    /// The suite whose `linux-image-amd64` it is.
    pub suite: &'static str,
    /// What is expected of tcptrace.
    pub fate: Fate,
}

/// The name of the newest, which changes.
pub const NEWEST: &str = "newest";

/// From old to new. The newest is what Debian brings to its stable release from testing.
pub const KERNELS: [Kernel; 4] = [
    Kernel { name: "5.10", suite: "bullseye", fate: Fate::Refuses("too old") },
    Kernel { name: "6.1", suite: "bookworm", fate: Fate::Works },
    Kernel { name: "6.12", suite: "trixie", fate: Fate::Works },
    Kernel { name: NEWEST, suite: "trixie-backports", fate: Fate::Works },
];

/// The package that depends on the suite's current kernel.
const PACKAGE: &str = "linux-image-amd64";

/// Packages whose names say that they hold a part of the kernel with this release. Since 7.x the
/// image and the modules are packages of their own.
const PARTS: [&str; 3] = ["linux-image-", "linux-binary-", "linux-modules-"];

/// A shell and the few programs that a guest needs before it sees this machine's files; static.
const BUSYBOX: &str = "busybox-static";
/// A suite that has it.
const BUSYBOX_SUITE: &str = "bookworm";

/// Modules without which a guest does not see this machine's files, or the tests lack something.
const MODULES: [&str; 9] = [
    "virtio_pci",
    "9pnet_virtio",
    "9p",
    "overlay",
    "veth",
    "tcp_diag",
    "inet_diag",
    "sch_tbf",
    "unix_diag",
];

/// A kernel that is here.
pub struct Unpacked {
    home: PathBuf,
    /// `uname -r`.
    pub release: String,
    /// The static shell.
    pub busybox: PathBuf,
}

impl Kernel {
    /// Fetches and unpacks it, unless that was done before.
    pub fn unpack(&self, vm: &Path) -> Result<Unpacked> {
        let home = vm.join("kernels").join(self.name);
        let known = fs::read_to_string(home.join("release"));
        let release = match known {
            Ok(release) => release,
            Err(_) => {
                self.fetch(vm, &home).with_context(|| format!("cannot get kernel {}", self.name))?
            }
        };
        Ok(Unpacked { home, release, busybox: busybox(vm).context("cannot get busybox")? })
    }

    /// Fetches and unpacks it, and says its release.
    fn fetch(&self, vm: &Path, home: &Path) -> Result<String> {
        step::say("vm", &format!("fetching the kernel of Debian {} ({PACKAGE})", self.suite));
        let archive = Archive::open(self.suite, vm.join("apt").join(self.suite))?;
        let depends = archive.dependencies(PACKAGE)?;
        let image = depends.iter().find_map(|name| name.strip_prefix(PARTS[0]));
        let release = image.context("its package names no image")?.to_owned();
        let fresh = home.with_extension("new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh)?;
        }
        fs::create_dir_all(&fresh)?;
        for package in parts(&archive, &release)? {
            archive.unpack(&package, &fresh)?;
        }
        fs::write(fresh.join("release"), &release)?;
        fs::rename(&fresh, home)?;
        Ok(release)
    }
}

/// The packages that together are this kernel.
fn parts(archive: &Archive, release: &str) -> Result<Vec<String>> {
    let image = format!("{}{release}", PARTS[0]);
    let mut packages = archive.dependencies(&image)?;
    packages.retain(|name| PARTS.iter().any(|part| *name == format!("{part}{release}")));
    packages.push(image);
    Ok(packages)
}

/// Fetches and unpacks the static shell, unless that was done before.
fn busybox(vm: &Path) -> Result<PathBuf> {
    let home = vm.join("busybox");
    let find = || ["usr/bin", "bin"].map(|dir| home.join(dir).join("busybox"));
    if let Some(known) = find().into_iter().find(|file| file.exists()) {
        return Ok(known);
    }
    let archive = Archive::open(BUSYBOX_SUITE, vm.join("apt").join(BUSYBOX_SUITE))?;
    archive.unpack(BUSYBOX, &home)?;
    find().into_iter().find(|file| file.exists()).context("its package has none")
}

impl Unpacked {
    /// The image that boots: in the package of the kernel, or since 7.x beside the modules.
    pub fn image(&self) -> Result<PathBuf> {
        let places = [
            format!("boot/vmlinuz-{}", self.release),
            format!("usr/lib/modules/{}/vmlinuz", self.release),
            format!("lib/modules/{}/vmlinuz", self.release),
        ];
        let mut places = places.iter().map(|place| self.home.join(place));
        places.find(|file| file.exists()).with_context(|| format!("no image of {}", self.release))
    }

    /// The modules that a guest needs, uncompressed, in the order in which they load. What is built
    /// into this kernel is not among them.
    pub fn modules(&self) -> Result<Vec<(String, Vec<u8>)>> {
        Modules::find(&self.home)?.in_order(&MODULES)
    }
}

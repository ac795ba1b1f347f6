//! qemu, unpacked below `target/vm` with every library that it needs, and never installed: a package
//! of another release could only be installed by removing what this machine has of qemu.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::archive::Archive;
use crate::step;

/// Whose qemu it is: its packages have no file outside of `/usr`.
const SUITE: &str = "trixie";
/// The package with the emulator of x86-64.
const PACKAGE: &str = "qemu-system-x86";
const PROGRAM: &str = "usr/bin/qemu-system-x86_64";
/// Runs it with its own libraries, whatever this machine has.
const LOADER: &str = "usr/lib64/ld-linux-x86-64.so.2";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
/// Where it looks for the firmware of the machines that it is.
const FIRMWARE: [&str; 2] = ["usr/share/qemu", "usr/share/seabios"];

/// An emulator that is here.
pub struct Emulator {
    home: PathBuf,
}

impl Emulator {
    /// Fetches and unpacks it, unless that was done before.
    pub fn unpack(vm: &Path) -> Result<Self> {
        let found = Self { home: vm.join("qemu") };
        if !found.home.exists() {
            found.fetch(vm).context("cannot get qemu")?;
        }
        Ok(found)
    }

    fn fetch(&self, vm: &Path) -> Result<()> {
        step::say("vm", &format!("fetching Debian {SUITE}'s {PACKAGE}"));
        let archive = Archive::open(SUITE, vm.join("apt").join(SUITE))?;
        let fresh = Self { home: self.home.with_extension("new") };
        if fresh.home.exists() {
            fs::remove_dir_all(&fresh.home)?;
        }
        archive.unpack_with_dependencies(PACKAGE, &fresh.home)?;
        if !step::succeeds(fresh.command().arg("--version")) {
            bail!("{} does not start", fresh.home.join(PROGRAM).display());
        }
        Ok(fs::rename(&fresh.home, &self.home)?)
    }

    /// The start of its command line.
    pub fn command(&self) -> Command {
        let mut command = Command::new(self.home.join(LOADER));
        command.arg("--library-path").arg(self.home.join(LIBRARIES)).arg(self.home.join(PROGRAM));
        for place in FIRMWARE {
            command.arg("-L").arg(self.home.join(place));
        }
        command.env("QEMU_MODULE_DIR", self.home.join(LIBRARIES).join("qemu"));
        command
    }
}

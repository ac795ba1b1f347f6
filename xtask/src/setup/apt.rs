//! Debian packages.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use super::Blocked;
use crate::privilege::Privilege;
use crate::step::{self, say_setup as say};
use crate::toolchain::lookup;

/// Another package manager may be at work, as on a machine that has just booted.
const WAIT_FOR_OTHERS: &str = "-oDPkg::Lock::Timeout=300";

/// apt-get, which learns what packages there are before it is first asked about one.
#[derive(Debug)]
pub struct Apt {
    ready: bool,
    /// What will be asked for later; of interest where nothing can be installed.
    later: Vec<&'static str>,
}

impl Apt {
    /// Does nothing yet.
    pub fn new(later: Vec<&'static str>) -> Self {
        Self { ready: false, later }
    }

    /// Whether this machine uses apt at all.
    pub fn exists() -> bool {
        lookup::on_path("apt-get").is_some()
    }

    /// Whether there is such a package; `wanted` is what the question is about.
    pub fn has(&mut self, package: &str, wanted: &[&str]) -> Result<bool> {
        self.prepare(wanted)?;
        Ok(step::succeeds(Command::new("apt-cache").args(["show", "--no-all-versions", package])))
    }

    /// Installs packages.
    pub fn install(&mut self, packages: &[&str]) -> Result<()> {
        self.prepare(packages)?;
        say(&format!("installing {} (apt-get)", packages.join(", ")));
        if let Err(error) = self.try_install(packages) {
            if !was_interrupted() {
                return Err(error);
            }
            say("finishing what an interrupted installation left (dpkg --configure)");
            run_quietly(self.as_root("dpkg", packages)?.args(["--configure", "--pending"]))?;
            self.try_install(packages)?;
        }
        Ok(())
    }

    /// Fetches a package without installing it; the file in `dir`.
    pub fn download(&mut self, package: &str, dir: &Path) -> Result<PathBuf> {
        self.prepare(&[package])?;
        say(&format!("fetching {package} (apt-get)"));
        let mut command = Command::new("apt-get");
        // The directory is ours, so that the user `_apt` cannot write there.
        command.args(["download", "-qq", "-oAPT::Sandbox::User=root", package]).current_dir(dir);
        run_quietly(&mut command)?;
        let files = fs::read_dir(dir)?.flatten().map(|entry| entry.path());
        let mut packages = files.filter(|file| file.extension().is_some_and(|end| end == "deb"));
        packages.next().with_context(|| format!("apt-get fetched no {package}"))
    }

    fn try_install(&self, packages: &[&str]) -> Result<()> {
        let mut command = self.as_root("apt-get", packages)?;
        // Never trades the user's own packages for ours.
        command.args(["install", "-qq", "--yes", "--no-install-recommends", "--no-remove"]);
        command.arg(WAIT_FOR_OTHERS).args(packages);
        run_quietly(&mut command).with_context(|| format!("installing {}", packages.join(", ")))
    }

    /// Once: fetches the lists of packages.
    fn prepare(&mut self, wanted: &[&str]) -> Result<()> {
        if self.ready {
            return Ok(());
        }
        say("fetching the lists of packages (apt-get update)");
        run_quietly(self.as_root("apt-get", wanted)?.args(["update", "-qq", WAIT_FOR_OTHERS]))?;
        self.ready = true;
        Ok(())
    }

    fn as_root(&self, program: &str, wanted: &[&str]) -> Result<Command> {
        let envs = [("DEBIAN_FRONTEND", OsStr::new("noninteractive"))];
        Privilege::find()?.command(program, &envs).ok_or_else(|| self.blocked(wanted).into())
    }

    fn blocked(&self, wanted: &[&str]) -> Blocked {
        let mut all = wanted.to_vec();
        all.extend(self.later.iter().filter(|package| !wanted.contains(package)));
        Blocked::packages(&all)
    }
}

/// Whether dpkg has packages that are unpacked and not configured.
fn was_interrupted() -> bool {
    let audit = Command::new("dpkg").arg("--audit").output();
    audit.is_ok_and(|audit| !audit.stdout.is_empty())
}

/// Runs a command that is of interest only where it fails.
fn run_quietly(command: &mut Command) -> Result<()> {
    command.stdin(Stdio::inherit()).stderr(Stdio::inherit());
    let output =
        command.output().with_context(|| format!("cannot start `{}`", step::show(command)))?;
    if !output.status.success() {
        eprint!("{}", String::from_utf8_lossy(&output.stdout));
        bail!("`{}` failed ({})", step::show(command), output.status);
    }
    Ok(())
}

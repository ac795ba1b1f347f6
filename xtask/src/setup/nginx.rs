//! nginx for the tests, unpacked and not installed: Debian's package would start a web server.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::Apt;
use crate::cargo;
use crate::step;
use crate::toolchain::lookup;

/// The package that has the program.
pub const PACKAGE: &str = "nginx";

/// Whether the tests will find one: they look here too.
pub fn is_unpacked() -> bool {
    lookup::is_executable(&home().join("usr/sbin/nginx"))
}

/// Fetches the package and unpacks it below `target`.
pub fn unpack(apt: &mut Apt) -> Result<()> {
    let fresh = home().with_extension("new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh)?;
    }
    fs::create_dir_all(&fresh).with_context(|| format!("cannot make {}", fresh.display()))?;
    let package = apt.download(PACKAGE, &fresh)?;
    step::run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(&fresh))?;
    let program = fresh.join("usr/sbin/nginx");
    if !step::succeeds(Command::new(&program).arg("-v")) {
        bail!("{} does not start: install a package of nginx yourself", program.display());
    }
    if home().exists() {
        fs::remove_dir_all(home())?;
    }
    fs::rename(&fresh, home()).context("cannot put nginx in its place")
}

/// Its place; `stacks::nginx` of the tests has the same.
fn home() -> PathBuf {
    cargo::root().join("target/tools/nginx")
}

//! Packages of one Debian suite, fetched without touching what this machine is configured to use.
//!
//! apt-get runs with lists, state and sources of its own below `target/vm`, against the mirror that
//! this machine uses, and checks signatures and checksums as always.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::setup::Blocked;
use crate::step;

/// Keys of the Debian archive, from the package debian-archive-keyring.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Dependencies alone, not what would be nice to have.
const STRICT: [&str; 7] = [
    "depends",
    "--no-recommends",
    "--no-suggests",
    "--no-conflicts",
    "--no-breaks",
    "--no-replaces",
    "--no-enhances",
];

/// One suite.
pub struct Archive {
    home: PathBuf,
}

impl Archive {
    /// Fetches the suite's list of packages into `home`.
    pub fn open(suite: &str, home: PathBuf) -> Result<Self> {
        if !Path::new(KEYRING).exists() {
            return Err(Blocked::packages(&["debian-archive-keyring"]).into());
        }
        for dir in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(home.join(dir))?;
        }
        let source = format!("deb [signed-by={KEYRING}] {} {suite} main\n", mirror()?);
        fs::write(home.join("sources.list"), source)?;
        // No package is installed there.
        fs::write(home.join("status"), "")?;
        let archive = Self { home };
        answer(archive.command("apt-get").args(["update", "-qq"]))?;
        Ok(archive)
    }

    /// What a package depends on, by name.
    pub fn dependencies(&self, package: &str) -> Result<Vec<String>> {
        let listing = answer(self.command("apt-cache").args(STRICT).arg(package))?;
        Ok(parse_dependencies(&listing))
    }

    /// Fetches a package and unpacks it below `target`.
    pub fn unpack(&self, package: &str, target: &Path) -> Result<()> {
        let dir = self.home.join("fetched");
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir_all(&dir)?;
        answer(self.command("apt-get").args(["download", "-qq", package]).current_dir(&dir))?;
        extract(&dir, target).with_context(|| format!("apt-get fetched no {package}"))?;
        Ok(fs::remove_dir_all(&dir)?)
    }

    /// Fetches a package and all that it depends on, down to the C library, and unpacks them below
    /// `target`.
    pub fn unpack_with_dependencies(&self, package: &str, target: &Path) -> Result<()> {
        let options = ["install", "-qq", "--yes", "--no-install-recommends", "--download-only"];
        answer(self.command("apt-get").args(options).arg(package))?;
        let dir = self.home.join("archives");
        extract(&dir, target).with_context(|| format!("apt-get fetched no {package}"))?;
        Ok(fs::remove_dir_all(&dir)?)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let place = |name: &str| self.home.join(name).display().to_string();
        let options = [
            ("Dir::State", place("")),
            ("Dir::State::lists", place("lists")),
            ("Dir::State::status", place("status")),
            ("Dir::Cache", place("")),
            ("Dir::Etc::SourceList", place("sources.list")),
            ("Dir::Etc::SourceParts", "/dev/null".to_owned()),
            ("Dir::Etc::Preferences", "/dev/null".to_owned()),
            ("Dir::Etc::PreferencesParts", "/dev/null".to_owned()),
            ("APT::Architecture", "amd64".to_owned()),
            // The directory is ours, so that the user `_apt` cannot write there.
            ("APT::Sandbox::User", "root".to_owned()),
            ("Acquire::Languages", "none".to_owned()),
        ];
        command.args(options.map(|(name, value)| format!("-o{name}={value}")));
        command
    }
}

/// The mirror from which this machine gets its own packages. Before its lists were ever fetched,
/// apt does not know who is Debian; then it is one that looks so. Security updates are elsewhere.
fn mirror() -> Result<String> {
    const OF_DEBIAN: [&str; 2] = ["Origin: Debian", "Label: Debian"];
    let first = |filter: &[&str]| -> Option<String> {
        let mut command = Command::new("apt-get");
        command.args(["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"]);
        let targets = answer(command.args(filter)).ok()?;
        let is_archive = |uri: &&str| uri.trim_end_matches('/').ends_with("/debian");
        targets.lines().find(is_archive).map(str::to_owned)
    };
    let found = first(&OF_DEBIAN).or_else(|| first(&[]));
    found.context("apt-get knows no mirror of Debian: its list of package sources has none")
}

/// What a command prints; its complaints are the error.
fn answer(command: &mut Command) -> Result<String> {
    let shown = step::show(command);
    let output = command.output().with_context(|| format!("cannot start `{shown}`"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("`{shown}` failed ({}): {}", output.status, said.trim());
    }
    // `update` succeeds with old lists where the network is down; there are none to fall back to.
    ensure!(!said.contains("Failed to fetch"), "`{shown}`: {}", said.trim());
    Ok(String::from_utf8(output.stdout)?)
}

/// Unpacks all packages in a directory below `target`; an error where there is none.
fn extract(dir: &Path, target: &Path) -> Result<()> {
    let files = fs::read_dir(dir)?.flatten().map(|entry| entry.path());
    let mut packages =
        files.filter(|file| file.extension().is_some_and(|end| end == "deb")).peekable();
    ensure!(packages.peek().is_some(), "no package in {}", dir.display());
    for package in packages {
        step::run(Command::new("dpkg-deb").arg("--extract").arg(&package).arg(target))?;
    }
    Ok(())
}

/// Reads `apt-cache depends`: `  Depends: NAME`, `  PreDepends: NAME`, ` |Depends: NAME`.
fn parse_dependencies(listing: &str) -> Vec<String> {
    let names = listing.lines().filter_map(|line| line.split_once("Depends: "));
    names.map(|(_, name)| name.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_dependencies() {
        let listing = "linux-image-amd64\n  PreDepends: a\n  Depends: linux-image-6.1.0-50-amd64\n \
                       |Depends: b\n    c\n";
        assert_eq!(parse_dependencies(listing), ["a", "linux-image-6.1.0-50-amd64", "b"]);
    }
}

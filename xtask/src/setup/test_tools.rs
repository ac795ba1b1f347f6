//! What the checks and tests need beyond a tool chain.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{Apt, Blocked, nginx};
use crate::cargo;
use crate::step::{self, say_setup as say};
use crate::toolchain::lookup;
use crate::toolchain::source::{NIGHTLY, Source};

/// Programs that the end-to-end tests and fuzzing start, and the Debian packages that have them.
const TOOLS: [(&str, &str); 8] = [
    ("ip", "iproute2"),
    ("python3", "python3"),
    // What the tool's stacks are compared with, and what has such stacks.
    ("gdb", "gdb"),
    ("gcc", "gcc"),
    // What libFuzzer is compiled with.
    ("c++", "g++"),
    ("go", "golang-go"),
    ("node", "nodejs"),
    // The modules of other kernels.
    ("xz", "xz-utils"),
];

/// Where administrators' programs are, which a user's `PATH` may lack.
const ADMIN_DIRS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Debian's clippy and rustfmt, for Debian's compiler.
const CLIPPY_PACKAGE: &str = "rust-web-clippy";
const RUSTFMT_PACKAGE: &str = "rustfmt-web";

/// Packages with programs that the end-to-end tests start and that are not here.
pub fn missing_packages() -> Vec<&'static str> {
    TOOLS.iter().filter(|(program, _)| !exists(program)).map(|(_, package)| *package).collect()
}

/// Installs what is missing.
pub fn complete(source: Source, apt: &mut Apt) -> Result<()> {
    let mut packages = missing_packages();
    packages.extend(complete_user_side()?);
    packages.extend(complete_kernel_side(source)?);
    packages.dedup();
    let lacks_nginx = !exists(nginx::PACKAGE) && !nginx::is_unpacked();
    if packages.is_empty() && !lacks_nginx {
        return Ok(());
    }
    if !Apt::exists() {
        packages.extend(lacks_nginx.then_some(nginx::PACKAGE));
        let what = packages.join(", ");
        return Err(Blocked::new(format!(
            "the tests need what Debian has in {what}, and this machine has no apt-get.\nInstall \
             that and run `cargo xtask test` again"
        ))
        .into());
    }
    if !packages.is_empty() {
        apt.install(&packages)?;
    }
    if lacks_nginx { nginx::unpack(apt) } else { Ok(()) }
}

/// rustfmt and clippy for the user side. Returns packages to install where rustup does not do it.
fn complete_user_side() -> Result<Vec<&'static str>> {
    let lacks = |program: &str| !step::succeeds(&mut cargo::cargo(&[program, "--version"]));
    let (rustfmt, clippy) = (lacks("fmt"), lacks("clippy"));
    // Set by rustup for everything that it runs.
    match env::var("RUSTUP_TOOLCHAIN") {
        Ok(toolchain) if rustfmt || clippy => {
            add_components(&toolchain, &["rustfmt", "clippy"])?;
            Ok(Vec::new())
        }
        _ => Ok(wanted([(rustfmt, RUSTFMT_PACKAGE), (clippy, CLIPPY_PACKAGE)])),
    }
}

/// clippy for the eBPF side, as above.
fn complete_kernel_side(source: Source) -> Result<Vec<&'static str>> {
    let lacking = !step::succeeds(source.command("cargo").args(["clippy", "--version"]));
    match source {
        Source::Nightly if lacking => {
            add_components(NIGHTLY, &["clippy"])?;
            Ok(Vec::new())
        }
        _ => Ok(wanted([(lacking, CLIPPY_PACKAGE)])),
    }
}

fn add_components(toolchain: &str, components: &[&str]) -> Result<()> {
    say(&format!("adding {} to rustup's {toolchain}", components.join(" and ")));
    let mut command = Command::new("rustup");
    command.args(["component", "add", "--toolchain", toolchain]).args(components);
    step::run(&mut command).context("the checks need it")
}

fn wanted<const N: usize>(packages: [(bool, &'static str); N]) -> Vec<&'static str> {
    packages.into_iter().filter(|(missing, _)| *missing).map(|(_, package)| package).collect()
}

fn exists(program: &str) -> bool {
    lookup::on_path(program).is_some()
        || ADMIN_DIRS.iter().any(|dir| lookup::is_executable(&Path::new(dir).join(program)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wants_what_is_missing() {
        assert_eq!(wanted([(true, "a"), (false, "b")]), ["a"]);
    }

    #[test]
    fn finds_programs_that_are_everywhere() {
        assert!(exists("sh"));
        assert!(!exists("no-such-program"));
    }
}

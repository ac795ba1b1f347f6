//! Building bpf-linker with the LLVM of the compiler.

use anyhow::{Context as _, Result};

use super::{Apt, Blocked, llvm};
use crate::cargo;
use crate::step::{self, say_setup as say};
use crate::toolchain::linker::NAME;
use crate::toolchain::lookup;
use crate::toolchain::source::Source;

/// The version that was tried with this workspace.
const VERSION: &str = "0.13.0";

/// LLVM's own libraries are C++; its package does not bring what links them.
const CXX_LIBRARY: &str = "g++";

/// Whether bpf-linker can be built for a compiler with this LLVM.
pub fn can_be_built(llvm: u32, apt: &mut Apt) -> Result<bool> {
    if !llvm::SUPPORTED.contains(&llvm) {
        return Ok(false);
    }
    if llvm::prefix(llvm).is_some() {
        return Ok(true);
    }
    let package = llvm::package(llvm);
    Ok(Apt::exists() && apt.has(&package, &[&package, CXX_LIBRARY])?)
}

/// Builds and installs it, with its LLVM if need be.
pub fn install(source: Source, llvm: u32, apt: &mut Apt) -> Result<()> {
    if llvm::prefix(llvm).is_none() {
        if !Apt::exists() {
            return Err(Blocked::llvm(llvm).into());
        }
        apt.install(&[&llvm::package(llvm), CXX_LIBRARY])?;
    }
    let prefix = llvm::prefix(llvm).ok_or_else(|| Blocked::llvm(llvm))?;
    let home = lookup::cargo_home().context("no home directory to install bpf-linker in")?;
    say(&format!(
        "building {NAME} {VERSION} with LLVM {llvm} for {} (a minute or two)",
        source.describe()
    ));
    let mut command = cargo::cargo(&["install", NAME, "--version", VERSION, "--locked"]);
    command.args(["--quiet", "--no-default-features", "--features", &format!("llvm-{llvm}")]);
    // A linker that is there already is one that does not work with this compiler.
    command.arg("--force").arg("--root").arg(home);
    command.env("LLVM_PREFIX", prefix).env_remove("RUSTFLAGS");
    step::run(&mut command).context("building bpf-linker")
}

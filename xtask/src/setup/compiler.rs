//! Installing a compiler for the eBPF half: Debian's, which comes with the sources of `core`.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

use super::{Apt, Blocked};
use crate::step::{self, say_setup as say};
use crate::toolchain::source::{LINKED, Source};
use crate::toolchain::{self, lookup, rustc};

/// Debian's newest compiler; the plain `rustc` of a stable release is years behind.
const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];

/// The above, and what its linker needs as long as that compiler has LLVM 22: for the one message
/// that says all, where nothing can be installed.
const WANTED: [&str; 5] = ["rustc-web", "cargo-web", "rust-web-src", "llvm-22-dev", "g++"];

/// Where those packages put `bin/rustc`.
const PREFIX: &str = "/usr";

/// Installs it if need be, makes rustup know it, and says what it is.
pub fn install(apt: &mut Apt) -> Result<(Source, u32)> {
    if rustc::ask(Source::Distribution).is_err() {
        install_packages(apt)?;
    }
    link()?;
    usable()
}

fn install_packages(apt: &mut Apt) -> Result<()> {
    if !Apt::exists() {
        return Err(Blocked::compiler("This machine has no apt-get").into());
    }
    for package in PACKAGES {
        if !apt.has(package, &WANTED)? {
            let why = format!("This distribution has no package {package}");
            return Err(Blocked::compiler(&why).into());
        }
    }
    apt.install(&PACKAGES)
}

/// Makes the compiler known to rustup, through which aya-build looks for it.
fn link() -> Result<()> {
    if lookup::on_path("rustup").is_none() {
        return Ok(());
    }
    say(&format!("linking {PREFIX} as rustup tool chain {LINKED}"));
    step::run(Command::new("rustup").args(["toolchain", "link", LINKED, PREFIX]))
        .context("telling rustup about Debian's compiler")
}

fn usable() -> Result<(Source, u32)> {
    let mut reasons = Vec::new();
    for (source, judged) in toolchain::compilers() {
        match judged {
            Ok(rustc) if source != Source::Nightly => return Ok((source, rustc.llvm)),
            Ok(_) => {}
            Err(reason) => reasons.push(format!("{} {reason}", source.describe())),
        }
    }
    bail!("the compiler was installed and will not do: {}", reasons.join("; "))
}

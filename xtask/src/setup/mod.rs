//! `cargo xtask setup`: finds what is missing on this machine and installs it.
//!
//! Each step asks "does it work?" and never "did I do this once?", so a step that was interrupted
//! is simply done again, and a machine that was set up by hand is left alone.

use anyhow::{Context as _, Result};

use crate::step::say_setup as say;
use crate::toolchain::source::Source;
use crate::toolchain::{self, Toolchain};

mod apt;
mod blocked;
mod bpf_linker;
mod compiler;
mod llvm;
mod nginx;
mod test_tools;

use apt::Apt;
pub use blocked::Blocked;

/// Makes this machine able to do everything, and says with what.
pub fn for_all() -> Result<()> {
    let toolchain = for_tests()?;
    say(&format!("ready: {toolchain}"));
    Ok(())
}

/// Makes this machine able to build tcptrace.
pub fn for_build() -> Result<Toolchain> {
    complete_toolchain(&mut Apt::new(Vec::new()))
}

/// Makes this machine able to build tcptrace and to run every check and test.
pub fn for_tests() -> Result<Toolchain> {
    let mut apt = Apt::new(test_tools::missing_packages());
    let toolchain = complete_toolchain(&mut apt)?;
    test_tools::complete(toolchain.source, &mut apt)?;
    Ok(toolchain)
}

fn complete_toolchain(apt: &mut Apt) -> Result<Toolchain> {
    if let Ok(toolchain) = toolchain::find() {
        return Ok(toolchain);
    }
    let (source, llvm) = match compiler_that_can_be_served(apt)? {
        Some(found) => found,
        None => compiler::install(apt)?,
    };
    if let Ok(toolchain) = toolchain::find() {
        return Ok(toolchain);
    }
    bpf_linker::install(source, llvm, apt)?;
    toolchain::find().context("the tool chain was installed and still does not work")
}

/// A compiler that is here already and for which a linker can be had, with its LLVM version.
fn compiler_that_can_be_served(apt: &mut Apt) -> Result<Option<(Source, u32)>> {
    for (source, judged) in toolchain::compilers() {
        match judged {
            Ok(rustc) if bpf_linker::can_be_built(rustc.llvm, apt)? => {
                return Ok(Some((source, rustc.llvm)));
            }
            Ok(rustc) => say(&format!(
                "{} will not do: no development files of its LLVM {} here",
                source.describe(),
                rustc.llvm
            )),
            Err(reason) => say(&format!("{} will not do: {reason}", source.describe())),
        }
    }
    Ok(None)
}

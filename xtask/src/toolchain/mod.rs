//! Which compiler and which linker build the eBPF half.
//!
//! Shared by `cargo xtask` and `tcptrace/build.rs`, so that both make the same decision; it
//! therefore depends on nothing but `std` and `anyhow`, and it only looks, it changes nothing.
//!
//! A compiler will do when it is new enough for this workspace and has the sources of `core`
//! (no compiler ships `core` for the BPF target). A linker will do when it can read what that
//! compiler writes. The first compiler for which there is such a linker is taken.

use std::fmt;

use anyhow::{Result, bail};

pub mod linker;
pub mod lookup;
pub mod rustc;
pub mod source;

use linker::Linker;
use rustc::Rustc;
use source::Source;

/// A compiler and a linker that fit together.
#[derive(Debug)]
pub struct Toolchain {
    /// Where the compiler comes from.
    pub source: Source,
    /// What the compiler says of itself.
    pub rustc: Rustc,
    /// The linker.
    pub linker: Linker,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, rustc, linker } = self;
        write!(f, "{} {} with LLVM {}, ", source.describe(), rustc.release, rustc.llvm)?;
        write!(f, "{} with LLVM {}", linker.path.display(), linker.llvm)
    }
}

/// Finds the tool chain, or says for each candidate why it will not do.
pub fn find() -> Result<Toolchain> {
    let mut reasons = Vec::new();
    let linkers = linker::installed();
    for (source, judged) in compilers() {
        match judged {
            Err(reason) => reasons.push(format!("{}: {reason}", source.describe())),
            Ok(rustc) => match linker::pick(&linkers, rustc.llvm) {
                Some(linker) => {
                    return Ok(Toolchain { source, rustc, linker });
                }
                None => reasons.push(linker::none_fits(source, rustc.llvm, &linkers)),
            },
        }
    }
    bail!("{}", reasons.join("; "))
}

/// Every place a compiler may come from on this machine, in order of preference, each with the
/// compiler or the reason why it will not do.
pub fn compilers() -> impl Iterator<Item = (Source, Result<Rustc, String>)> {
    let rustup = lookup::on_path("rustup").is_some();
    Source::candidates(rustup).iter().map(|&source| (source, rustc::ask(source)))
}

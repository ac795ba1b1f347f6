//! Which programs are compared.

use std::ffi::OsString;
use std::path::Path;

use anyhow::Result;

use super::build::{self, source};

/// A program that understands the commands of `paths.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// C without frame pointers.
    C,
    /// A Rust release build.
    Rust,
    /// Go.
    Go,
    /// The system's CPython.
    Python,
    /// node.
    Node,
}

impl Program {
    /// The command line; compiles the program where need be.
    pub fn command(self) -> Result<Vec<OsString>> {
        Ok(match self {
            Self::C => vec![build::c()?.into()],
            Self::Rust => vec![build::rust()?.into()],
            Self::Go => vec![build::go()?.into()],
            Self::Python => vec![python(), source("paths.py").into()],
            Self::Node => vec!["node".into(), source("paths.js").into()],
        })
    }

    /// Whether it accepts and reads by itself, without a command.
    pub fn accepts_alone(self) -> bool {
        self == Self::Node
    }
}

/// The system's, rather than what a version manager puts in front of it.
fn python() -> OsString {
    let system = Path::new("/usr/bin/python3");
    if system.exists() { system.into() } else { "python3".into() }
}

//! `cargo xtask demo` and `cargo xtask bench`: programs of the tests that run tcptrace as root.

use std::ffi::OsString;

use anyhow::{Context as _, Result};

use crate::cargo::{self, Profile};
use crate::e2e::PROGRAM;
use crate::privilege::Privilege;
use crate::setup::{self, Blocked};
use crate::step;

/// Leaks made on purpose, and the report on them.
pub fn demo() -> Result<()> {
    run("demo", &[])
}

/// What tcptrace costs.
pub fn bench(args: &[OsString]) -> Result<()> {
    run("bench", args)
}

/// Sets up, builds tcptrace and the programs of the tests, and runs one of these as root.
fn run(name: &str, args: &[OsString]) -> Result<()> {
    setup::for_all()?;
    let program = cargo::build_tcptrace(Profile::Release)?;
    let built = cargo::build(&["build", "--release", "--package=tcptrace-tests", "--bins"])?;
    let own = built.iter().find(|executable| executable.target == name);
    let own = own.with_context(|| format!("cargo did not build the {name}"))?;
    let envs = [(PROGRAM, program.as_os_str())];
    let command = Privilege::find()?.command(&own.path, &envs);
    step::run(command.with_context(|| no_way(name))?.args(args))
}

fn no_way(name: &str) -> Blocked {
    Blocked::new(format!("the {name} needs root, and sudo does not work here; run it as root"))
}

//! `cargo xtask demo`: leaks made on purpose, and the report on them.

use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cargo::{self, Profile};
use crate::e2e::PROGRAM;
use crate::privilege::Privilege;
use crate::setup::{self, Blocked};
use crate::step;

/// Sets up, builds the program and the misbehaving servers, and lets the demo run as root.
pub fn run() -> Result<()> {
    setup::for_all()?;
    let program = cargo::build_tcptrace(Profile::Release)?;
    let built = cargo::build(&["build", "--release", "--package=tcptrace-tests", "--bins"])?;
    let demo = built.iter().find(|executable| executable.target == "demo");
    let demo = demo.context("cargo did not build the demo")?;
    let envs = [(PROGRAM, program.as_os_str())];
    let mut command: Command =
        Privilege::find()?.command(&demo.path, &envs).with_context(no_way)?;
    step::run(&mut command)
}

fn no_way() -> Blocked {
    Blocked::new("the demo needs root, and sudo does not work here; run it as root")
}

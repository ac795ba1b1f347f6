//! `cargo xtask run`: build, then become tcptrace.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Error, Result};

use crate::cargo::{self, Profile};
use crate::privilege::{Privilege, children_may_trace};
use crate::setup::{self, Blocked};
use crate::step;

/// Sets up, builds, and replaces this process by tcptrace, so that signals reach it and its exit
/// status is ours. Returns only where that failed.
pub fn run(args: &[OsString]) -> Result<()> {
    setup::for_build()?;
    let program = cargo::build_tcptrace(Profile::Release)?;
    let mut command = as_root(&program, args)?;
    let error = command.exec();
    Err(Error::new(error).context(format!("cannot start `{}`", step::show(&command))))
}

fn as_root(program: &Path, args: &[OsString]) -> Result<Command> {
    let mut plain = Command::new(program);
    plain.args(args);
    if children_may_trace()? {
        return Ok(plain);
    }
    let mut command = Privilege::find()?.command(program, &[]).with_context(|| no_way(&plain))?;
    command.args(args);
    Ok(command)
}

fn no_way(command: &Command) -> Blocked {
    Blocked::new(format!(
        "tcptrace needs root (or CAP_BPF and CAP_PERFMON), and sudo does not work here.\n\
         It is built; run it as root:\n    {}",
        step::show(command)
    ))
}

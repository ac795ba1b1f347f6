//! `cargo xtask check` and `cargo xtask test`: every check and test, one after the other.

use std::env::consts::ARCH;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::cargo::{self, cargo};
use crate::toolchain::source::Source;
use crate::{deny, e2e, fuzz, layers, setup, step, vm};

/// What the eBPF side is compiled for.
const BPF_TARGET: &str =
    if cfg!(target_endian = "big") { "bpfeb-unknown-none" } else { "bpfel-unknown-none" };

/// How long each target is fuzzed.
const FUZZING: Duration = Duration::from_secs(3);

/// Runs everything; with a filter, only the tests whose name contains it.
pub fn test(filter: Option<&str>) -> Result<()> {
    let toolchain = announce("setup", setup::for_tests)?;
    if filter.is_none() {
        checks(toolchain.source)?;
    }
    announce("unit tests", || unit_tests(filter))?;
    if filter.is_none() {
        announce("fuzzing", || fuzz::run(None, FUZZING, fuzz::Seed::Fixed))?;
    }
    announce("end-to-end tests", || e2e::run(filter))?;
    if filter.is_none() {
        announce("kernels", vm::run_bounded)?;
    }
    step::say("test", "all passed");
    Ok(())
}

/// Runs what takes neither root nor a kernel: all checks, and the unit tests.
pub fn check() -> Result<()> {
    let toolchain = announce("setup", setup::for_tests)?;
    checks(toolchain.source)?;
    announce("unit tests", || unit_tests(None))?;
    step::say("test", "all passed");
    Ok(())
}

fn checks(source: Source) -> Result<()> {
    announce("fmt", || step::run(&mut cargo(&["fmt", "--all", "--check"])))?;
    announce("clippy (user side)", || step::run(&mut clippy()))?;
    announce("clippy (eBPF side)", || step::run(&mut bpf_clippy(source)))?;
    announce("docs (user side)", || step::run(&mut doc()))?;
    announce("docs (eBPF side)", || step::run(&mut bpf_doc(source)))?;
    announce("layers", layers::check_repository)?;
    announce("licences and sources", deny::check)
}

/// Says which step comes, and which one failed.
fn announce<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    step::say("test", name);
    work().with_context(|| format!("test: step `{name}` failed"))
}

fn clippy() -> Command {
    let mut command = cargo(&["clippy", "--workspace", "--exclude=tcptrace-ebpf", "--all-targets"]);
    command.args(["--", "-Dwarnings"]);
    // clippy would build an eBPF half of its own, only to throw it away.
    command.env("AYA_BUILD_SKIP", "1");
    command
}

fn doc() -> Command {
    let mut command =
        cargo(&["doc", "--workspace", "--exclude=tcptrace-ebpf", "--no-deps", PRIVATE_TOO]);
    command.env("RUSTDOCFLAGS", "-Dwarnings");
    command
}

const PRIVATE_TOO: &str = "--document-private-items";

fn bpf_clippy(source: Source) -> Command {
    let mut command = bpf_cargo(source, "clippy");
    command.args(["--", "-Dwarnings"]);
    command
}

fn bpf_doc(source: Source) -> Command {
    let mut command = bpf_cargo(source, "doc");
    command.args(["--no-deps", PRIVATE_TOO]).env("RUSTDOCFLAGS", "-Dwarnings");
    command
}

/// A cargo command over the eBPF side, compiled as aya-build compiles it.
fn bpf_cargo(source: Source, what: &str) -> Command {
    let mut command = source.command("cargo");
    command.args([what, "--release", "--package=tcptrace-ebpf", "--target", BPF_TARGET]);
    command.args(["-Zbuild-std=core", "--target-dir", "target/ebpf-checks"]);
    command.env("CARGO_ENCODED_RUSTFLAGS", format!("--cfg=bpf_target_arch=\"{ARCH}\""));
    command.current_dir(cargo::root());
    command
}

fn unit_tests(filter: Option<&str>) -> Result<()> {
    let mut command =
        cargo(&["test", "--workspace", "--exclude=tcptrace-ebpf", "--exclude=tcptrace-tests"]);
    step::run(command.args(filter))
}

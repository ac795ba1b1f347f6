//! Builds the eBPF half, so that a plain `cargo build` gives a complete program.

use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use aya_build::Package;

#[path = "../xtask/src/toolchain/mod.rs"]
mod toolchain;

use toolchain::Toolchain;

/// What the eBPF half is made from, apart from its own folder, which aya-build watches.
const INPUTS: [&str; 3] = ["../tcptrace-common", "../Cargo.toml", "../Cargo.lock"];

/// aya-build's own variable; `1` asks it to do nothing.
const SKIP: &str = "AYA_BUILD_SKIP";

/// The file in `OUT_DIR` that the loader includes.
const OBJECT: &str = "tcptrace-bpf";

fn main() {
    if let Err(error) = build() {
        // Fails the build with this one line.
        println!("cargo::error={error:#}");
    }
}

fn build() -> Result<()> {
    println!("cargo::rerun-if-env-changed={SKIP}");
    if env::var_os(SKIP).is_some_and(|skip| skip == "1") {
        return stand_in();
    }
    let toolchain = toolchain::find().map_err(|why| {
        anyhow!("run `cargo xtask setup` first: no tool chain for the eBPF half ({why})")
    })?;
    watch(&toolchain);
    prepare_environment(&toolchain);
    aya_build::build_ebpf(
        [Package { name: "tcptrace-ebpf", root_dir: "../tcptrace-ebpf", ..Package::default() }],
        aya_build::Toolchain::Custom(toolchain.source.rustup_name()),
    )
}

/// Puts an empty file where the eBPF half would be: enough for clippy, which looks at the user side
/// alone, and of no use to run.
fn stand_in() -> Result<()> {
    let folder = env::var_os("OUT_DIR").context("OUT_DIR is not set")?;
    let file = Path::new(&folder).join(OBJECT);
    fs::write(&file, []).with_context(|| format!("cannot write {}", file.display()))
}

fn watch(toolchain: &Toolchain) {
    for input in INPUTS {
        println!("cargo::rerun-if-changed={input}");
    }
    println!("cargo::rerun-if-changed={}", toolchain.linker.path.display());
}

/// Tells the cargo that aya-build starts what it cannot find out by itself.
fn prepare_environment(toolchain: &Toolchain) {
    let linker = toolchain.linker.path.as_os_str();
    // SAFETY: this script has only this thread, so nothing reads the environment meanwhile.
    unsafe {
        // aya-build shows all that this cargo says as warnings; errors are enough.
        env::set_var("CARGO_TERM_QUIET", "true");
        env::set_var("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", linker);
        env::set_var("CARGO_TARGET_BPFEB_UNKNOWN_NONE_LINKER", linker);
        if toolchain.source.needs_bootstrap() {
            // Lets a stable compiler build `core`; aya-build adds `-Z build-std=core` by itself.
            env::set_var("RUSTC_BOOTSTRAP", "1");
        }
        if let Some(path) = toolchain.source.search_path() {
            env::set_var("PATH", path);
        }
    }
}

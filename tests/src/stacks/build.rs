//! Compiling the target programs.

use std::os::unix::fs::{MetadataExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

use crate::tool::target_dir;

static COMPILING: Mutex<()> = Mutex::new(());

/// A file of `tests/programs`.
pub fn source(name: &str) -> PathBuf {
    package_dir().join("programs").join(name)
}

/// The directory of this package when the tests run, which need not be that of the build.
pub fn package_dir() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR");
    package.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from)
}

/// Without frame pointers, optimised, with symbols and without debug information.
pub fn c() -> Result<PathBuf> {
    let options = ["-O2", "-fomit-frame-pointer", "-pthread", "-o"];
    compile("paths.c", "paths-c", Command::new("gcc").args(options))
}

/// How a variant of a C program differs from the others.
#[derive(Clone, Copy, Debug)]
pub struct Variant<'a> {
    /// What its functions' names begin with.
    pub name: &'a str,
    /// Bytes in its frames. Up to 127 the code has other lengths than above.
    pub room: u32,
    /// `-no-pie`, `-pie` or `-shared`.
    pub kind: &'a str,
}

/// A variant of a C program whose names and frames the compiler's command line chooses.
pub fn variant(of: &str, variant: Variant<'_>) -> Result<PathBuf> {
    let Variant { name, room, kind } = variant;
    let position = if kind == "-no-pie" { "-fno-pie" } else { "-fPIC" };
    let mut command = Command::new("gcc");
    command.args(["-O2", "-fomit-frame-pointer", "-fno-stack-protector", "-pthread"]);
    command.args([kind, position, &format!("-DNAME={name}"), &format!("-DROOM={room}"), "-o"]);
    let stem = of.trim_end_matches(".c");
    compile(of, &format!("{stem}-{name}-{room}{kind}"), &mut command)
}

/// As `cargo build --release` does it, with debug information for inlined functions.
pub fn rust() -> Result<PathBuf> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.args(["--edition=2024", "-O", "-Cdebuginfo=1", "-Cforce-frame-pointers=no", "-o"]);
    compile("paths.rs", "paths-rs", &mut command)
}

/// Java, for `java -cp` this directory, which is the caller's own: it may remove it.
pub fn java() -> Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let classes = target_dir()?.join("programs").join(format!("java-{pid}-{count}"));
    let mut command = Command::new("javac");
    let done = command.arg("-d").arg(&classes).arg(source("Paths.java")).output()?;
    ensure!(done.status.success(), "javac: {}", String::from_utf8_lossy(&done.stderr));
    Ok(classes)
}

/// As `go build` does it.
pub fn go() -> Result<PathBuf> {
    let mut command = Command::new("go");
    // Nothing is looked for outside of what is installed.
    command.env("GOTOOLCHAIN", "local").env("GO111MODULE", "off").args(["build", "-o"]);
    compile("paths.go", "paths-go", &mut command)
}

/// Compiles a source, unless its program is there and newer. The command lacks the output and the
/// source.
fn compile(name: &str, output: &str, command: &mut Command) -> Result<PathBuf> {
    // A program that is replaced while gdb reads it has no symbols.
    let _one_at_a_time = COMPILING.lock().unwrap_or_else(PoisonError::into_inner);
    let (from, dir) = (source(name), target_dir()?.join("programs"));
    let program = dir.join(output);
    if is_newer(&program, &from) {
        return Ok(program);
    }
    std::fs::create_dir_all(&dir)?;
    give_away(&dir)?;
    let fresh = program.with_extension(std::process::id().to_string());
    let done = command.arg(&fresh).arg(&from).output();
    let done = done.with_context(|| format!("start the compiler of {name}"))?;
    ensure!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    give_away(&fresh)?;
    std::fs::rename(&fresh, &program)?;
    Ok(program)
}

/// To whoever builds this package; the tests run as root, and what is left must not be in the way
/// of a `cargo clean`.
fn give_away(path: &Path) -> Result<()> {
    let owner = target_dir()?.metadata()?;
    Ok(chown(path, Some(owner.uid()), Some(owner.gid()))?)
}

fn is_newer(program: &Path, source: &Path) -> bool {
    let modified = |path: &Path| path.metadata()?.modified();
    match (modified(program), modified(source)) {
        (Ok(program), Ok(source)) => program > source,
        _ => false,
    }
}

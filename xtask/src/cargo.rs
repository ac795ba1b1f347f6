//! The cargo that runs us, used for the workspace's own crates.

use std::env;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::step;

/// Which profile to build with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// `target/debug`
    Dev,
    /// `target/release`
    Release,
}

impl Profile {
    fn flag(self) -> &'static str {
        match self {
            Self::Dev => "--profile=dev",
            Self::Release => "--profile=release",
        }
    }
}

/// The top of the repository.
pub fn root() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package.parent().map_or_else(|| package.clone(), PathBuf::from)
}

/// `cargo ARGS` at the top of the repository.
pub fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// The compiler itself, which works for any user; what rustup puts in front of it does not.
pub fn rustc() -> PathBuf {
    let output = Command::new("rustc").args(["--print", "sysroot"]).current_dir(root()).output();
    let sysroot = output.ok().filter(|output| output.status.success());
    let path = sysroot.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    path.map_or_else(|| "rustc".into(), |path| PathBuf::from(path).join("bin/rustc"))
}

/// Builds the program and says where it is.
pub fn build_tcptrace(profile: Profile) -> Result<PathBuf> {
    program(build(&["build", "--package=tcptrace", profile.flag()])?)
}

/// Builds the program so that it needs nothing of the host that it runs on, not even a C library,
/// and says where it is: `target/debug/tcptrace`. The flag goes to the last step alone, so what it
/// is linked from is what other builds use too.
pub fn build_static() -> Result<PathBuf> {
    let last_step = ["--", "-Ctarget-feature=+crt-static"];
    program(build(&[&["rustc", "--package=tcptrace", "--bin=tcptrace"], &last_step[..]].concat())?)
}

fn program(built: Vec<Executable>) -> Result<PathBuf> {
    let is_program = |executable: &Executable| executable.target == "tcptrace";
    let program = built.into_iter().find(is_program).context("cargo built no tcptrace")?;
    Ok(program.path)
}

/// Something that cargo built and that can be run.
#[derive(Debug, PartialEq, Eq)]
pub struct Executable {
    /// The name of the cargo target.
    pub target: String,
    /// The file.
    pub path: PathBuf,
    /// The folder of the target's package, where cargo would run its tests.
    pub package_dir: PathBuf,
    /// Whether it runs tests.
    pub is_test: bool,
}

/// Runs a cargo command that builds, and lists the executables that came of it.
pub fn build(args: &[&str]) -> Result<Vec<Executable>> {
    let mut args = args.to_vec();
    // Behind the command; what follows two dashes is not for cargo.
    args.insert(1, MESSAGES);
    executables_of(&mut cargo(&args))
}

/// Makes cargo say what it builds, for [`executables_of`].
pub const MESSAGES: &str = "--message-format=json-render-diagnostics";

/// The same of a command that has more than arguments, [`MESSAGES`] among them.
pub fn executables_of(command: &mut Command) -> Result<Vec<Executable>> {
    command.stderr(Stdio::inherit());
    let output = command.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("`{}` failed ({})", step::show(command), output.status);
    }
    Ok(executables(&String::from_utf8_lossy(&output.stdout)))
}

/// Reads cargo's messages, one JSON object a line.
fn executables(messages: &str) -> Vec<Executable> {
    messages.lines().filter_map(executable).collect()
}

fn executable(message: &str) -> Option<Executable> {
    let message: Value = serde_json::from_str(message).ok()?;
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    Some(Executable {
        path: message["executable"].as_str()?.into(),
        target: message["target"]["name"].as_str()?.to_owned(),
        package_dir: manifest.parent()?.to_owned(),
        is_test: message["profile"]["test"].as_bool()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_what_can_be_run_and_nothing_else() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","manifest_path":"/w/a/Cargo.toml","target":{"name":"a"},"profile":{"test":false},"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","manifest_path":"/w/t/Cargo.toml","target":{"name":"leaks"},"profile":{"test":true},"executable":"/w/target/debug/deps/leaks-1"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
            "\nnot json\n",
        );
        let leaks = Executable {
            target: "leaks".to_owned(),
            path: "/w/target/debug/deps/leaks-1".into(),
            package_dir: "/w/t".into(),
            is_test: true,
        };
        assert_eq!(executables(messages), [leaks]);
    }

    #[test]
    fn the_root_holds_the_workspace() {
        assert!(root().join("Cargo.toml").is_file());
        assert!(root().join("xtask").is_dir());
    }
}

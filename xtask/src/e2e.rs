//! The end-to-end tests: real programs, the real kernel, as root.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::cargo::{self, Executable};
use crate::privilege::Privilege;
use crate::setup::Blocked;
use crate::step;

/// Tells the tests and the demo which tcptrace to run.
pub const PROGRAM: &str = "TCPTRACE_BIN";

/// Builds the program, then runs the tests whose name contains the filter.
pub fn run(filter: Option<&str>) -> Result<()> {
    let program = cargo::build_static()?;
    match Privilege::find()? {
        Privilege::Root => step::run(&mut all_at_once(&program, filter)),
        privilege => one_by_one(&program, filter, privilege),
    }
}

fn all_at_once(program: &Path, filter: Option<&str>) -> Command {
    let mut command = cargo::cargo(&["test", "--package=tcptrace-tests"]);
    command.args(filter).env(PROGRAM, program);
    command
}

/// Builds as the user that we are, then runs each test executable as root.
fn one_by_one(program: &Path, filter: Option<&str>, privilege: Privilege) -> Result<()> {
    let built = cargo::build(&["test", "--package=tcptrace-tests", "--no-run"])?;
    let rustc = cargo::rustc();
    for test in built.iter().filter(|executable| executable.is_test) {
        step::say("test", &test.target);
        let mut command = as_root(test, program, &rustc, privilege).with_context(no_way)?;
        step::run(command.args(filter))?;
    }
    Ok(())
}

/// The executable as cargo would run it.
fn as_root(
    test: &Executable,
    program: &Path,
    rustc: &Path,
    privilege: Privilege,
) -> Option<Command> {
    let envs: [(&str, &OsStr); 3] = [
        (PROGRAM, program.as_os_str()),
        ("CARGO_MANIFEST_DIR", test.package_dir.as_os_str()),
        // Some tests compile programs, and root's PATH need not have rustup's.
        ("RUSTC", rustc.as_os_str()),
    ];
    let mut command = privilege.command(&test.path, &envs)?;
    command.current_dir(&test.package_dir);
    Some(command)
}

fn no_way() -> Blocked {
    Blocked::new(
        "the end-to-end tests need root, and sudo does not work here; run `cargo xtask test` as \
         root",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_gets_what_cargo_would_give_it() {
        let test = Executable {
            target: "leaks".to_owned(),
            path: "/t/leaks".into(),
            package_dir: "/w/tests".into(),
            is_test: true,
        };
        let command =
            as_root(&test, Path::new("/t/tcptrace"), Path::new("/r/rustc"), Privilege::Sudo)
                .unwrap();
        let shown = step::show(&command);
        let end =
            "env TCPTRACE_BIN=/t/tcptrace CARGO_MANIFEST_DIR=/w/tests RUSTC=/r/rustc /t/leaks";
        assert!(shown.starts_with("sudo") && shown.ends_with(end), "{shown}");
        assert_eq!(command.get_current_dir(), Some(Path::new("/w/tests")));
    }
}

//! Where a compiler for the eBPF half may come from.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::lookup;

/// The rustup name under which `cargo xtask setup` links the distribution's compiler.
pub const LINKED: &str = "tcptrace-bpf";

/// The rustup name of the compiler most eBPF developers have.
pub const NIGHTLY: &str = "nightly";

/// A place to take `rustc` and `cargo` from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// rustup's `nightly`.
    Nightly,
    /// The distribution's compiler, known to rustup as [`LINKED`].
    Linked,
    /// No rustup here: whatever `PATH` finds.
    Path,
    /// No rustup here, and `PATH` finds something else first: the distribution's in `/usr/bin`.
    Distribution,
}

impl Source {
    /// The candidates in order of preference. aya-build goes through rustup where there is one.
    pub fn candidates(rustup: bool) -> &'static [Self] {
        if rustup { &[Self::Nightly, Self::Linked] } else { &[Self::Path, Self::Distribution] }
    }

    /// The name to give to `rustup run` (without rustup aya-build ignores it).
    pub fn rustup_name(self) -> &'static str {
        match self {
            Self::Nightly => NIGHTLY,
            Self::Linked | Self::Path | Self::Distribution => LINKED,
        }
    }

    /// For people.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Nightly => "rustup's nightly",
            Self::Linked => "rustup's tcptrace-bpf",
            Self::Path => "rustc on PATH",
            Self::Distribution => "/usr/bin/rustc",
        }
    }

    /// Whether `-Z` options need `RUSTC_BOOTSTRAP=1`. Harmless where the compiler is a nightly.
    pub fn needs_bootstrap(self) -> bool {
        self != Self::Nightly
    }

    /// The search path under which a plain `cargo` and `rustc` are this source's; `None` where
    /// the present one is right.
    pub fn search_path(self) -> Option<OsString> {
        match self {
            Self::Nightly | Self::Linked | Self::Path => None,
            Self::Distribution => usr_bin_first(lookup::path_dirs()),
        }
    }

    /// A command of this source's `program`, with what it needs in its environment.
    pub fn command(self, program: &str) -> Command {
        let mut command = match self {
            Self::Nightly | Self::Linked => {
                let mut command = Command::new("rustup");
                command.args(["run", self.rustup_name(), program]);
                command
            }
            Self::Path => Command::new(program),
            Self::Distribution => Command::new(Path::new("/usr/bin").join(program)),
        };
        // Set by the cargo that runs us; they speak of its compiler, not of this one.
        command.env_remove("RUSTC").env_remove("RUSTC_WORKSPACE_WRAPPER");
        // Looking must not download a tool chain.
        command.env("RUSTUP_AUTO_INSTALL", "0");
        if self.needs_bootstrap() {
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        if let Some(path) = self.search_path() {
            command.env("PATH", path);
        }
        command
    }
}

fn usr_bin_first(dirs: Vec<PathBuf>) -> Option<OsString> {
    env::join_paths([PathBuf::from("/usr/bin")].into_iter().chain(dirs)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rustup_decides_the_candidates() {
        assert_eq!(Source::candidates(true), [Source::Nightly, Source::Linked]);
        assert_eq!(Source::candidates(false), [Source::Path, Source::Distribution]);
    }

    #[test]
    fn the_distribution_goes_before_path() {
        let path = usr_bin_first(vec!["/opt/rust/bin".into(), "/usr/bin".into()]);
        assert_eq!(path, Some("/usr/bin:/opt/rust/bin:/usr/bin".into()));
    }

    #[test]
    fn bootstrap_is_set_for_a_stable_compiler_only() {
        let has = |source: Source| {
            source.command("cargo").get_envs().any(|(key, _)| key == "RUSTC_BOOTSTRAP")
        };
        assert!(has(Source::Linked));
        assert!(!has(Source::Nightly));
    }
}

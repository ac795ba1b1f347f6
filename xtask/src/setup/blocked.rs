//! What to say where this machine cannot be set up by us.

use std::error::Error;
use std::fmt;

/// Something that only the machine's owner can do; the message has the commands.
#[derive(Debug)]
pub struct Blocked(String);

impl Blocked {
    /// The whole message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// Packages must be installed, and we may not.
    pub fn packages(packages: &[&str]) -> Self {
        Self::new(format!(
            "{} must be installed, which needs root, and sudo does not work here.\nRun as root:\n    \
             apt-get update\n    apt-get install --no-install-recommends {}\nthen again:\n    \
             cargo xtask setup",
            list(packages),
            packages.join(" ")
        ))
    }

    /// There is no compiler for the eBPF half and no package of one.
    pub fn compiler(why: &str) -> Self {
        Self::new(format!(
            "{why}, so there is no compiler to install for the eBPF half.\nInstall rustup's \
             nightly with its sources, and the development files of the LLVM it uses\n(`rustup run \
             nightly rustc -vV` tells which; the package is called llvm-devel, llvm-NN-dev or \
             llvm):\n    rustup toolchain install nightly --component rust-src --component clippy\n\
             then again:\n    cargo xtask setup"
        ))
    }

    /// A bpf-linker must be built, and its LLVM is not here.
    pub fn llvm(llvm: u32) -> Self {
        Self::new(format!(
            "bpf-linker must be built with LLVM {llvm}, and its development files are not \
             here.\nInstall them (the package is called llvm-{llvm}-dev, llvm{llvm}-devel or the \
             like) so that\n/usr/lib/llvm-{llvm} or `llvm-config-{llvm}` exists, then \
             again:\n    cargo xtask setup"
        ))
    }
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Blocked {}

fn list(packages: &[&str]) -> String {
    match packages {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_packages_and_commands() {
        let text = Blocked::packages(&["rustc-web", "llvm-22-dev"]).to_string();
        assert!(text.starts_with("rustc-web and llvm-22-dev must be installed"), "{text}");
        assert!(
            text.contains("\n    apt-get install --no-install-recommends rustc-web llvm-22-dev\n")
        );
    }
}

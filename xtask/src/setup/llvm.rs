//! The development files of one version of LLVM.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The LLVM versions that [`bpf_linker`](super::bpf_linker) can be built with.
pub const SUPPORTED: std::ops::RangeInclusive<u32> = 21..=23;

/// Debian's package.
pub fn package(major: u32) -> String {
    format!("llvm-{major}-dev")
}

/// Where this version is installed, if it is: the folder that holds `lib` and `include`.
pub fn prefix(major: u32) -> Option<PathBuf> {
    let debian = PathBuf::from(format!("/usr/lib/llvm-{major}"));
    let fedora = PathBuf::from(format!("/usr/lib64/llvm{major}"));
    [debian, fedora]
        .into_iter()
        .find(|prefix| is_complete(prefix))
        .or_else(|| ask(&format!("llvm-config-{major}"), major))
        .or_else(|| ask("llvm-config", major))
}

/// The development package has the unversioned library, the run-time package has not.
fn is_complete(prefix: &Path) -> bool {
    ["lib", "lib64"].iter().any(|lib| prefix.join(lib).join("libLLVM.so").exists())
}

fn ask(llvm_config: &str, major: u32) -> Option<PathBuf> {
    let output = Command::new(llvm_config).args(["--version", "--prefix"]).output().ok()?;
    parse(&String::from_utf8_lossy(&output.stdout), major)
}

/// Reads the two lines of `llvm-config --version --prefix`.
fn parse(answer: &str, major: u32) -> Option<PathBuf> {
    let mut lines = answer.lines();
    let found: u32 = lines.next()?.split('.').next()?.parse().ok()?;
    let prefix = lines.next()?;
    (found == major).then(|| prefix.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_prefix_of_the_right_version_only() {
        assert_eq!(parse("22.1.8\n/opt/llvm\n", 22), Some("/opt/llvm".into()));
        assert_eq!(parse("14.0.6\n/usr/lib/llvm-14\n", 22), None);
        assert_eq!(parse("", 22), None);
    }
}

//! The BPF linker: which ones there are, and which LLVM each was built with.
//!
//! `bpf-linker --version` tells its own version alone, so LLVM itself is asked through
//! `--llvm-args`. A linker whose shared LLVM is gone cannot answer and does not count.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::source::Source;
use super::{lookup, rustc};

/// The program's name.
pub const NAME: &str = "bpf-linker";

/// A linker that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Linker {
    /// The program.
    pub path: PathBuf,
    /// The major version of its LLVM.
    pub llvm: u32,
}

/// Every working linker on `PATH` and in cargo's home, which need not be on `PATH`.
pub fn installed() -> Vec<Linker> {
    let home = lookup::cargo_home().map(|home| home.join("bin"));
    let mut files: Vec<PathBuf> = Vec::new();
    for dir in lookup::path_dirs().into_iter().chain(home) {
        let file = dir.join(NAME);
        if lookup::is_executable(&file) && !files.contains(&file) {
            files.push(file);
        }
    }
    files.into_iter().filter_map(ask).collect()
}

/// The first linker that can read what a compiler with this LLVM writes. LLVM reads bitcode of
/// its own and of older versions, never of newer ones.
pub fn pick(linkers: &[Linker], rustc_llvm: u32) -> Option<Linker> {
    linkers.iter().find(|linker| linker.llvm >= rustc_llvm).cloned()
}

/// Says why [`pick`] found nothing.
pub fn none_fits(source: Source, rustc_llvm: u32, linkers: &[Linker]) -> String {
    let found = match linkers {
        [] => "there is no working one".to_owned(),
        [linker, ..] => format!("{} has LLVM {}", linker.path.display(), linker.llvm),
    };
    format!("{} needs a bpf-linker with LLVM {rustc_llvm}: {found}", source.describe())
}

fn ask(path: PathBuf) -> Option<Linker> {
    let llvm = llvm_of(&path)?;
    Some(Linker { path, llvm })
}

fn llvm_of(linker: &Path) -> Option<u32> {
    // LLVM prints its version and exits before it looks at the files.
    let output = Command::new(linker)
        .args(["--llvm-args=--version", "--output=/dev/null", "/dev/null"])
        .output()
        .ok()?;
    parse(&String::from_utf8_lossy(&output.stdout))
}

/// Reads LLVM's answer to `--version`, as in `Debian LLVM version 22.1.8`.
fn parse(answer: &str) -> Option<u32> {
    let (_, version) = answer.split_once("LLVM version ")?;
    rustc::major(version.split_whitespace().next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linker(path: &str, llvm: u32) -> Linker {
        Linker { path: path.into(), llvm }
    }

    #[test]
    fn reads_what_llvm_says() {
        assert_eq!(parse("Debian LLVM version 22.1.8\n  Optimized build.\n"), Some(22));
        assert_eq!(parse("LLVM (http://llvm.org/):\n  LLVM version 23.0.0git\n"), Some(23));
        assert_eq!(parse("bpf-linker 0.13.0\n"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn takes_the_first_that_is_not_older_than_the_compiler() {
        let linkers = [linker("/a", 20), linker("/b", 23), linker("/c", 22)];
        assert_eq!(pick(&linkers, 22), Some(linker("/b", 23)));
        assert_eq!(pick(&linkers, 24), None);
        assert_eq!(pick(&[], 22), None);
    }

    #[test]
    fn says_what_was_found_instead() {
        let text = none_fits(Source::Linked, 22, &[linker("/opt/bpf-linker", 20)]);
        assert!(text.contains("LLVM 22") && text.contains("/opt/bpf-linker has LLVM 20"), "{text}");
    }
}

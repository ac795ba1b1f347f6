//! What a compiler says of itself, and whether that will do.

use std::path::Path;

use super::source::Source;

/// The oldest compiler this workspace accepts.
const OLDEST: &str = env!("CARGO_PKG_RUST_VERSION");

/// Where a sysroot keeps the sources of `core`, if it has them.
const CORE_SOURCES: &str = "lib/rustlib/src/rust/library/Cargo.lock";

/// A compiler that will do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rustc {
    /// As in `1.96.0` or `1.97.0-nightly`.
    pub release: String,
    /// The major version of its LLVM.
    pub llvm: u32,
}

/// Asks this source's `rustc`; the error says why it will not do.
pub fn ask(source: Source) -> Result<Rustc, String> {
    let rustc = parse(&output(source, "-vV")?).ok_or("cannot tell its version")?;
    if !new_enough(&rustc.release, OLDEST) {
        return Err(format!("is {}, older than {OLDEST}", rustc.release));
    }
    let sysroot = output(source, "--print=sysroot")?;
    if !Path::new(sysroot.trim()).join(CORE_SOURCES).is_file() {
        return Err("has no rust-src".to_owned());
    }
    Ok(rustc)
}

fn output(source: Source, argument: &str) -> Result<String, String> {
    let output = source.command("rustc").arg(argument).output();
    match output {
        Ok(output) if output.status.success() => {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        }
        Ok(_) | Err(_) => Err("not installed".to_owned()),
    }
}

/// Reads the answer to `rustc -vV`.
fn parse(verbose_version: &str) -> Option<Rustc> {
    let field = |name: &str| verbose_version.lines().find_map(|line| line.strip_prefix(name));
    Some(Rustc {
        release: field("release: ")?.trim().to_owned(),
        llvm: major(field("LLVM version: ")?)?,
    })
}

/// `22` of `22.1.8`.
pub(super) fn major(version: &str) -> Option<u32> {
    version.trim().split('.').next()?.parse().ok()
}

fn new_enough(release: &str, oldest: &str) -> bool {
    match (major_minor(release), major_minor(oldest)) {
        (Some(release), Some(oldest)) => release >= oldest,
        _ => false,
    }
}

fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(['.', '-']);
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN: &str = "rustc 1.96.0 (ac68faa20 2026-05-25) (built from a source tarball)\n\
        binary: rustc\nhost: x86_64-unknown-linux-gnu\nrelease: 1.96.0\nLLVM version: 22.1.8\n";

    #[test]
    fn reads_release_and_llvm() {
        assert_eq!(parse(DEBIAN), Some(Rustc { release: "1.96.0".to_owned(), llvm: 22 }));
    }

    #[test]
    fn an_answer_without_llvm_is_no_answer() {
        assert_eq!(parse("release: 1.96.0\n"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn compares_versions_as_numbers() {
        assert!(new_enough("1.97.0-nightly", "1.95"));
        assert!(new_enough("1.95.0", "1.95"));
        assert!(new_enough("1.100.0", "1.95"));
        assert!(!new_enough("1.85.0", "1.95"));
        assert!(!new_enough("unknown", "1.95"));
    }
}

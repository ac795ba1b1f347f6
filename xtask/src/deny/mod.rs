//! `cargo xtask deny`: what may be built into tcptrace, by licence and by source.
//!
//! `cargo deny` does the same and more, and takes ten minutes of two processors to install; its
//! advisories come from a git repository, which a build without a network lacks. This asks cargo
//! alone. `cargo deny check advisories` remains for whoever can fetch them.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::cargo::cargo;
use crate::step;

mod licence;

use licence::is_allowed;

/// Where crates may come from, besides this repository.
const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Crates under licences that are not for everything. A licence here holds for that crate alone.
const EXCEPTIONS: [(&str, &str); 2] = [
    // Flame graphs. Copyleft by file: it is used as it is, and its source is public.
    ("inferno", "CDDL-1.0"),
    // The sources of libFuzzer in it, which are built for fuzzing and not into tcptrace.
    ("libfuzzer-sys", "NCSA"),
];

/// Checks every crate that the lock file allows into a build, on any platform.
pub fn check() -> Result<()> {
    let mut command = cargo(&["metadata", "--format-version=1", "--all-features", "--locked"]);
    let output = command.output().context("cannot start cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{}` failed: {said}", step::show(&command));
    let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo's metadata")?;
    let packages = metadata["packages"].as_array().context("cargo tells of no packages")?;
    let objections: Vec<String> = packages.iter().filter_map(objection).collect();
    ensure!(objections.is_empty(), "{}", objections.join("\n"));
    step::say("deny", &format!("{} crates: licences and sources allowed", packages.len()));
    Ok(())
}

/// What is against a package.
fn objection(package: &Value) -> Option<String> {
    let text = |field: &str| package[field].as_str().unwrap_or_default();
    let name = text("name");
    let shown = format!("{name} {}", text("version"));
    match package["source"].as_str() {
        None => return None,
        Some(REGISTRY) => {}
        Some(source) => return Some(format!("{shown} comes from {source}")),
    }
    let exception = EXCEPTIONS.iter().find(|(own, _)| *own == name).map(|(_, licence)| *licence);
    let licence = text("license");
    (!is_allowed(licence, exception)).then(|| format!("{shown} has the licence {licence:?}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sources_and_licences_are_looked_at() {
        let of = |name: &str, source: Value, licence: &str| {
            let package =
                json!({"name": name, "version": "1.0.0", "source": source, "license": licence});
            objection(&package)
        };
        assert_eq!(of("own", Value::Null, ""), None);
        assert_eq!(of("a", json!(REGISTRY), "MIT OR Apache-2.0"), None);
        assert_eq!(of("inferno", json!(REGISTRY), "CDDL-1.0"), None);
        let refused = of("other", json!(REGISTRY), "CDDL-1.0").unwrap();
        assert_eq!(refused, "other 1.0.0 has the licence \"CDDL-1.0\"");
        let fork = of("a", json!("git+https://example.org/a"), "MIT").unwrap();
        assert_eq!(fork, "a 1.0.0 comes from git+https://example.org/a");
    }
}

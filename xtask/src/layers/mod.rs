//! `cargo xtask layers`: the modules of tcptrace import one another in one direction only.
//!
//! [`scan`] reads what each module declares and mentions, [`tree`] finds out which module a
//! mention means, [`rules`] knows what is allowed, [`cycles`] finds circles. Code under
//! `#[cfg(test)]` is free to join what it likes.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::{cargo, step};

mod cycles;
mod rules;
mod scan;
mod tree;

#[cfg(test)]
mod tests;

use scan::Module;
use tree::Tree;

/// The folder that is checked, below the repository's root.
const SOURCES: &str = "tcptrace/src";

/// Checks the repository; the error lists every violation.
pub fn check_repository() -> Result<()> {
    let modules = read(&cargo::root().join(SOURCES))?;
    let violations = check(&modules);
    if !violations.is_empty() {
        bail!("the layers of {SOURCES} are broken:\n{}", violations.join("\n"));
    }
    step::say("layers", &format!("{} modules, each in its place", modules.len()));
    Ok(())
}

/// Every violation in these modules, as lines for people.
fn check(modules: &[Module]) -> Vec<String> {
    let tree = Tree::new(modules);
    let uses = tree.uses();
    let mut violations = rules::unknown_modules(modules);
    violations.extend(uses.inside.iter().filter_map(rules::judge_inside));
    violations.extend(uses.outside.iter().filter_map(rules::judge_outside));
    violations.extend(cycles::describe(&uses.inside));
    violations.sort();
    violations.dedup();
    violations
}

/// Scans every Rust file below a folder.
fn read(folder: &Path) -> Result<Vec<Module>> {
    let mut files = Vec::new();
    list(folder, folder, &mut files)?;
    files.sort();
    let mut scans = Vec::new();
    for file in files {
        let path = folder.join(&file);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        scans.push(scan::scan(&file, &text).with_context(|| format!("in {}", path.display()))?);
    }
    Ok(scan::join(scans))
}

/// Lists Rust files by their paths relative to `top`.
fn list(top: &Path, folder: &Path, files: &mut Vec<String>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            list(top, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path.strip_prefix(top)?.to_string_lossy().into_owned());
        }
    }
    Ok(())
}

//! Copies of a program whose unwind tables are not what the compiler wrote.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::tool::target_dir;

/// A directory for copies of programs, removed in the end.
pub struct Scratch(PathBuf);

impl Scratch {
    /// An empty one.
    pub fn new(name: &str) -> Result<Self> {
        let dir = target_dir()?.join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        Ok(Self(dir))
    }

    /// Where a file of this name belongs.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The bytes of a section of a program.
    pub fn section(&self, program: &Path, name: &str) -> Result<Vec<u8>> {
        let bytes = self.path("section");
        let to = format!("{name}={}", bytes.display());
        objcopy(&["--dump-section", &to], program, &self.path("unused"))?;
        Ok(fs::read(bytes)?)
    }

    /// A copy of a program with other bytes in a section, as many as there were.
    pub fn with(&self, program: &Path, name: &str, bytes: &[u8], copy: &str) -> Result<PathBuf> {
        let (from, copy) = (self.path("section"), self.path(copy));
        fs::write(&from, bytes)?;
        objcopy(&["--update-section", &format!("{name}={}", from.display())], program, &copy)?;
        ensure!(self.section(&copy, name)? == bytes, "{} has other bytes", copy.display());
        Ok(copy)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left is in the directory of the build.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn objcopy(options: &[&str], from: &Path, to: &Path) -> Result<()> {
    let done = Command::new("objcopy").args(options).arg(from).arg(to).output();
    let done = done.context("start objcopy")?;
    ensure!(done.status.success(), "objcopy: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

//! A folder for what contenders print.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

/// The folder, gone when dropped.
pub struct Scratch(pub PathBuf);

impl Scratch {
    /// Makes it.
    pub fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("tcptrace-bench-{}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| path.display().to_string())?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

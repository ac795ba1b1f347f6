//! Kernel modules: where they are, and which ones a module needs first.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// The modules of one kernel.
pub struct Modules {
    files: BTreeMap<String, PathBuf>,
}

impl Modules {
    /// All below a directory.
    pub fn find(dir: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        collect(dir, &mut files)?;
        Ok(Self { files })
    }

    /// These modules and all that they depend on, each behind what it depends on. A name without a
    /// file is built into the kernel.
    pub fn in_order(&self, wanted: &[&str]) -> Result<Vec<(String, Vec<u8>)>> {
        let mut order = Vec::new();
        for name in wanted {
            self.add(name, &mut order)?;
        }
        Ok(order)
    }

    fn add(&self, name: &str, order: &mut Vec<(String, Vec<u8>)>) -> Result<()> {
        let Some(file) = self.files.get(name) else { return Ok(()) };
        if order.iter().any(|(known, _)| known == name) {
            return Ok(());
        }
        let module = read(file).with_context(|| format!("cannot read {}", file.display()))?;
        for dependency in dependencies(&module) {
            self.add(&dependency, order)?;
        }
        order.push((name.to_owned(), module));
        Ok(())
    }
}

fn collect(dir: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            collect(&path, files)?;
        } else if let Some(name) = name_of(&path) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// `tcp_diag` of `tcp-diag.ko.xz`: the kernel takes `-` for `_`.
fn name_of(path: &Path) -> Option<String> {
    let file = path.file_name()?.to_str()?;
    let name = file.strip_suffix(".ko").or_else(|| file.strip_suffix(".ko.xz"))?;
    Some(name.replace('-', "_"))
}

fn read(file: &Path) -> Result<Vec<u8>> {
    if file.extension().is_some_and(|end| end == "ko") {
        return Ok(fs::read(file)?);
    }
    let output = Command::new("xz").arg("-dc").arg(file).output().context("cannot start xz")?;
    ensure!(output.status.success(), "xz: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(output.stdout)
}

/// Reads `depends=a,b` of a module's section `.modinfo`, whose entries end in a zero byte.
fn dependencies(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let Some(at) = module.windows(KEY.len()).position(|window| window == KEY) else {
        return Vec::new();
    };
    let value = module[at + KEY.len()..].split(|byte| *byte == 0).next().unwrap_or_default();
    let names = String::from_utf8_lossy(value);
    names.split(',').filter(|name| !name.is_empty()).map(|name| name.replace('-', "_")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_module_depends_on() {
        assert_eq!(
            dependencies(b"x\0license=GPL\0depends=9pnet,net-fs\0name=9p\0"),
            ["9pnet", "net_fs"]
        );
        assert!(dependencies(b"\0depends=\0").is_empty());
        assert!(dependencies(b"no module").is_empty());
    }

    #[test]
    fn a_name_is_what_the_kernel_calls_it() {
        assert_eq!(name_of(Path::new("/l/tcp-diag.ko.xz")).as_deref(), Some("tcp_diag"));
        assert_eq!(name_of(Path::new("/l/9p.ko")).as_deref(), Some("9p"));
        assert_eq!(name_of(Path::new("/l/modules.dep")), None);
    }
}

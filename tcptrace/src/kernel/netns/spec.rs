//! From what the user calls a network namespace to its inode number.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::is_network;
use crate::lifecycle::filter::NetnsSpec;
use crate::lifecycle::text::visible;

/// The inode number of a network namespace.
///
/// # Errors
///
/// There is no such process or file, or the file does not stand for a network namespace.
pub fn inode_of(spec: &NetnsSpec) -> Result<u32> {
    match spec {
        NetnsSpec::Inode(inode) => Ok(*inode),
        NetnsSpec::Path(path) => {
            let name = visible(&path.to_string_lossy()).into_owned();
            inode_of_file(path).with_context(|| format!("--netns {name}"))
        }
        NetnsSpec::Pid(pid) => {
            let path = PathBuf::from(format!("/proc/{pid}/ns/net"));
            inode_of_file(&path).with_context(|| format!("--netns pid:{pid}"))
        }
    }
}

fn inode_of_file(path: &Path) -> Result<u32> {
    let file = File::open(path).context("cannot open it; does it exist, and are you root?")?;
    if !is_network(&file) {
        bail!("not a network namespace; give a file such as /run/netns/blue");
    }
    let inode = file.metadata().context("cannot read it")?.ino();
    u32::try_from(inode).with_context(|| format!("inode {inode} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> u32 {
        inode_of(&NetnsSpec::Path("/proc/self/ns/net".into())).unwrap()
    }

    #[test]
    fn a_namespace_is_found_by_each_of_its_names() {
        let link = std::fs::read_link("/proc/self/ns/net").unwrap();
        assert_eq!(link.to_str(), Some(format!("net:[{}]", own()).as_str()));
        assert_eq!(inode_of(&NetnsSpec::Pid(std::process::id())).unwrap(), own());
        assert_eq!(inode_of(&NetnsSpec::Inode(7)).unwrap(), 7);
    }

    #[test]
    fn what_is_no_network_namespace_is_an_error() {
        for path in ["/etc/passwd", "/proc/self/ns/mnt", "/nowhere", "/proc/self/fd"] {
            let error = inode_of(&NetnsSpec::Path(path.into())).unwrap_err();
            assert!(error.to_string().contains(path), "{error}");
        }
        let error = inode_of(&NetnsSpec::Pid(4_194_303)).unwrap_err();
        assert!(error.to_string().contains("pid:4194303"), "{error}");
    }
}

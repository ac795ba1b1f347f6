//! Opening the files that a process has mapped.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Arc, Weak};

use super::elf::Elf;
use super::file_id::FileId;
use super::mappings::{Backing, Mapping};
use super::module::Module;
use crate::errand::{self, Errand, HeldUp, What};
use crate::lifecycle::text;

/// How every ELF file begins, for whatever machine.
const ELF_MAGIC: &[u8; 4] = b"\x7fELF";

/// Most files that may come late between two sweeps.
const LATE_MAX: usize = 64;

/// An open file and what is known of it.
#[derive(Debug)]
pub struct Code {
    /// Number of its own.
    pub id: u64,
    /// The file.
    pub module: Arc<Module>,
    /// What is in it.
    pub content: Content,
}

/// What a file that is mapped as code turned out to be.
#[derive(Debug)]
pub enum Content {
    /// A program or library for a machine that is known here.
    Elf(Elf),
    /// Not an ELF file: code made at run time can be in a memfd.
    Made,
    /// Nobody can tell: reading fails, or the file was cut short since it was mapped, or it begins
    /// like an ELF file and is none of ours.
    Unreadable,
}

impl Content {
    fn of(file: &File) -> Self {
        if let Some(elf) = Elf::read(file) {
            return Self::Elf(elf);
        }
        let mut magic = [0; ELF_MAGIC.len()];
        let is_whole = file.read_exact_at(&mut magic, 0).is_ok();
        if is_whole && magic != *ELF_MAGIC { Self::Made } else { Self::Unreadable }
    }
}

impl Code {
    /// The program; `None`: it is none, or cannot be read.
    #[must_use]
    pub const fn elf(&self) -> Option<&Elf> {
        if let Content::Elf(elf) = &self.content { Some(elf) } else { None }
    }

    /// Bytes at an offset of the file, for a process that has it mapped; `None` where it ends before.
    ///
    /// # Errors
    ///
    /// Its file system does not answer.
    pub fn bytes<const N: usize>(&self, pid: u32, offset: u64) -> Result<Option<[u8; N]>, HeldUp> {
        let module = Arc::clone(&self.module);
        errand::run(pid, What::File(module.id.inode()), move || {
            let mut bytes = [0; N];
            module.file.read_exact_at(&mut bytes, offset).ok()?;
            Some(bytes)
        })
    }
}

/// What came of opening a file.
#[derive(Debug)]
pub enum Opened {
    /// It is open.
    Code(Arc<Code>),
    /// It cannot be opened.
    No,
    /// Its file system has not answered yet.
    Late,
}

/// A version of a file, by its path: the same file can have several.
type Key = (FileId, Arc<str>);

/// Files that are open, each once.
#[derive(Debug, Default)]
pub struct Files {
    open: HashMap<Key, Weak<Code>>,
    /// Those that take long to read.
    late: HashMap<Key, Errand<(File, Content)>>,
    last_id: u64,
}

impl Files {
    /// Opens what a mapping of a process shows.
    pub fn open(&mut self, pid: u32, mapping: &Mapping) -> Opened {
        let Backing::File { path, inode, .. } = &mapping.backing else { return Opened::No };
        let meant = mapping.clone();
        let (file, id) = match errand::run(pid, What::File(*inode), move || shown(pid, &meant)) {
            Ok(Some(found)) => found,
            Ok(None) => return Opened::No,
            Err(HeldUp) => return Opened::Late,
        };
        let key = (id, Arc::clone(path));
        if let Some(code) = self.open.get(&key).and_then(Weak::upgrade) {
            return Opened::Code(code);
        }
        self.read(pid, file, key)
    }

    fn read(&mut self, pid: u32, file: File, key: Key) -> Opened {
        let read = || {
            let content = Content::of(&file);
            (file, content)
        };
        let begun = self
            .late
            .remove(&key)
            .map_or_else(|| Errand::begin(pid, What::File(key.0.inode()), read), Ok);
        let Ok(mut errand) = begun else { return Opened::Late };
        match errand.wait() {
            Ok(Some((file, content))) => Opened::Code(self.keep(key, file, content)),
            Ok(None) => Opened::No,
            Err(HeldUp) => {
                self.late.insert(key, errand);
                Opened::Late
            }
        }
    }

    fn keep(&mut self, key: Key, file: File, content: Content) -> Arc<Code> {
        self.last_id += 1;
        let build_id = if let Content::Elf(elf) = &content { elf.build_id.clone() } else { None };
        let (path, id) = (key.1.to_string(), key.0);
        let module = Arc::new(Module { path, build_id, id, file });
        let code = Arc::new(Code { id: self.last_id, module, content });
        self.open.insert(key, Arc::downgrade(&code));
        code
    }

    /// Forgets those that nothing refers to, and those that came late where there are many: each
    /// answer that nobody fetches holds a descriptor.
    pub fn sweep(&mut self) {
        self.open.retain(|_, code| code.strong_count() > 0);
        if self.late.len() > LATE_MAX {
            self.late.clear();
        }
    }
}

/// The file that a mapping of a process shows, and which one it is.
fn shown(pid: u32, mapping: &Mapping) -> Option<(File, FileId)> {
    let Backing::File { inode, path, .. } = &mapping.backing else { return None };
    let file = by_mapping(pid, mapping).or_else(|| by_path(pid, path, *inode))?;
    let id = FileId::of(&file.metadata().ok()?);
    Some((file, id))
}

/// By the mapping itself: leads to deleted files and into other mount namespaces.
fn by_mapping(pid: u32, mapping: &Mapping) -> Option<File> {
    let file = regular(format!("/proc/{pid}/map_files/{:x}-{:x}", mapping.start, mapping.end))?;
    is_shown(&file, mapping).then_some(file)
}

/// Whether the file is the one that the mapping showed: another may be mapped there by now. Some
/// file systems give a file two inode numbers, and a file may get another name.
fn is_shown(file: &File, mapping: &Mapping) -> bool {
    let Backing::File { inode, path, .. } = &mapping.backing else { return false };
    if file.metadata().is_ok_and(|data| data.ino() == *inode) {
        return true;
    }
    let link = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let Ok(link) = link else { return false };
    let now = text::from_bytes(link.as_os_str().as_bytes());
    now.strip_suffix(" (deleted)").unwrap_or(&now) == &**path
}

/// By its path, where the mapping may not be opened. Another file may have the path by now.
fn by_path(pid: u32, path: &str, inode: u64) -> Option<File> {
    let file = regular(format!("/proc/{pid}/root/{}", path.trim_start_matches('/')))?;
    (file.metadata().ok()?.ino() == inode).then_some(file)
}

/// Opens a regular file for reading, and nothing else: to open a device can have effects. What
/// the path leads to is held fast before it is looked at.
pub fn regular(path: impl AsRef<Path>) -> Option<File> {
    let held = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path).ok()?;
    if !held.metadata().ok()?.is_file() {
        return None;
    }
    File::open(format!("/proc/self/fd/{}", held.as_raw_fd())).ok()
}

#[cfg(test)]
mod tests {
    use super::super::mappings;
    use super::*;

    fn own() -> (Vec<Mapping>, usize) {
        let mappings = mappings::read(std::process::id()).unwrap();
        let index = mappings::find(&mappings, own as *const () as u64).unwrap();
        (mappings, index)
    }

    #[test]
    fn a_file_is_opened_once_and_dropped_when_unused() {
        let (mappings, index) = own();
        let mut files = Files::default();
        let pid = std::process::id();
        let mut open = || match files.open(pid, &mappings[index]) {
            Opened::Code(code) => code,
            other => panic!("{other:?}"),
        };
        let (first, second) = (open(), open());
        assert!(Arc::ptr_eq(&first, &second) && first.elf().is_some());
        drop((first, second));
        files.sweep();
        assert!(files.open.is_empty());
    }

    #[test]
    fn another_file_under_the_path_is_not_taken_for_it() {
        let (mappings, index) = own();
        let Backing::File { inode, path, .. } = &mappings[index].backing else { panic!() };
        let pid = std::process::id();
        assert!(by_path(pid, path, *inode).is_some());
        assert!(by_path(pid, path, inode + 1).is_none());
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_made_code() {
        let path = std::env::temp_dir().join(format!("tcptrace-open-{}", std::process::id()));
        let content = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Content::of(&File::open(&path).unwrap())
        };
        for lost in
            [&b""[..], b"\x7fE", b"\x7fELF\x02\x01\x01", &[b"\x7fELF\x01", &[0; 99][..]].concat()]
        {
            assert!(matches!(content(lost), Content::Unreadable), "{lost:?}");
        }
        assert!(matches!(content(&[0xc3; 100]), Content::Made));
        std::fs::remove_file(&path).unwrap();
        // There is nothing at address 0, so that reading there fails (EIO).
        let failing = File::open("/proc/self/mem").unwrap();
        assert!(matches!(Content::of(&failing), Content::Unreadable));
    }

    #[test]
    fn devices_and_directories_are_not_opened() {
        for path in ["/dev/null", "/proc", "/nowhere", "/proc/self/fd"] {
            assert!(regular(path).is_none(), "{path}");
        }
    }
}

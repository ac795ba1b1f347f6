//! A file system that stops answering, as an NFS server that is down does, or a FUSE program that
//! hangs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result};
use fuser::{
    BackgroundSession, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, Generation,
    INodeNo, LockOwner, MountOption, OpenFlags, ReplyAttr, ReplyData, ReplyDirectory, ReplyEntry,
    Request, SessionACL,
};

use crate::stacks::tables::Scratch;

/// Nothing is remembered of names and attributes: each look asks.
const TTL: Duration = Duration::ZERO;
/// A process that waits for a FUSE program cannot even be killed, so no ice age lasts for ever.
const AGE: Duration = Duration::from_secs(60);

/// Whether it answers.
#[derive(Default)]
struct Gate {
    is_shut: Mutex<bool>,
    moved: Condvar,
}

impl Gate {
    fn set(&self, is_shut: bool) {
        *self.is_shut.lock().unwrap_or_else(PoisonError::into_inner) = is_shut;
        self.moved.notify_all();
    }

    fn pass(&self) {
        let is_shut = self.is_shut.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.moved.wait_timeout_while(is_shut, AGE, |is_shut| *is_shut));
    }
}

/// Files in one directory, numbered from 2.
struct Files {
    files: Vec<(String, Vec<u8>)>,
    gate: Arc<Gate>,
}

impl Files {
    fn attributes(&self, inode: u64) -> Option<FileAttr> {
        let size = match inode {
            1 => 0,
            _ => self.bytes(inode)?.len() as u64,
        };
        let kind = if inode == 1 { FileType::Directory } else { FileType::RegularFile };
        Some(FileAttr {
            ino: INodeNo(inode),
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm: 0o755,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    fn bytes(&self, inode: u64) -> Option<&[u8]> {
        let index = usize::try_from(inode.checked_sub(2)?).ok()?;
        self.files.get(index).map(|(_, bytes)| bytes.as_slice())
    }
}

impl Filesystem for Files {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        self.gate.pass();
        let index = self.files.iter().position(|(own, _)| OsStr::new(own) == name);
        match index.and_then(|index| self.attributes(index as u64 + 2)) {
            Some(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _: &Request, inode: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        self.gate.pass();
        match self.attributes(inode.0) {
            Some(attributes) => reply.attr(&TTL, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn readdir(&self, _: &Request, _: INodeNo, _: FileHandle, from: u64, mut to: ReplyDirectory) {
        self.gate.pass();
        for (index, (name, _)) in (0_u64..).zip(&self.files).skip_while(|(index, _)| *index < from)
        {
            if to.add(INodeNo(index + 2), index + 1, FileType::RegularFile, name) {
                break;
            }
        }
        to.ok();
    }

    fn read(
        &self,
        _: &Request,
        inode: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        self.gate.pass();
        let bytes = self.bytes(inode.0).unwrap_or_default();
        let from = usize::try_from(offset).map_or(bytes.len(), |from| from.min(bytes.len()));
        let to = bytes.len().min(from + size as usize);
        reply.data(bytes.get(from..to).unwrap_or_default());
    }
}

/// Whether this kernel has FUSE.
pub fn is_possible() -> bool {
    Path::new("/dev/fuse").exists()
}

/// Where it is mounted.
pub struct Frozen {
    gate: Arc<Gate>,
    /// Taken away in the end, before its directory is.
    session: Option<BackgroundSession>,
    dir: PathBuf,
    _scratch: Scratch,
}

impl Frozen {
    /// Mounts one with these files. It answers, so far.
    pub fn serving(test: &str, files: Vec<(String, Vec<u8>)>) -> Result<Self> {
        let scratch = Scratch::new(test)?;
        let dir = scratch.path("mounted");
        std::fs::create_dir_all(&dir)?;
        let gate = Arc::new(Gate::default());
        let served = Files { files, gate: Arc::clone(&gate) };
        let mut config = Config::default();
        config.mount_options = vec![MountOption::RO, MountOption::FSName("frozen".to_owned())];
        config.acl = SessionACL::All;
        let session = fuser::spawn_mount(served, &dir, &config).context("mount FUSE")?;
        Ok(Self { gate, session: Some(session), dir, _scratch: scratch })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// From now on whoever asks it anything waits.
    pub fn freeze(&self) {
        self.gate.set(true);
    }

    /// It answers again, those that wait first.
    pub fn thaw(&self) {
        self.gate.set(false);
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.thaw();
        // Now, and its files when those who have them open have ended. Where it fails, dropping the
        // session tries again.
        let _ = Command::new("umount").arg("--lazy").arg(&self.dir).status();
        drop(self.session.take());
    }
}

//! Network namespaces: finding all of them, entering them.
//!
//! The kernel offers no list. A namespace is kept alive by a process in it, a bind mount, an open
//! descriptor of it, or a socket in it; so processes and the usual mount points are looked at
//! first, and a socket that a process holds leads to the rest.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Where tools bind-mount network namespaces.
const MOUNTS: [&str; 2] = ["/run/netns", "/run/docker/netns"];

/// `SIOCGSKNS` (`include/uapi/linux/sockios.h`, since 4.10): the namespace of a socket.
const SOCKET_NAMESPACE: libc::c_ulong = 0x894C;

/// How many processes are tried for one namespace before it counts as gone.
const TRIES: usize = 4;

/// An open network namespace. Holding it keeps the namespace alive, so it is let go after each
/// snapshot.
#[derive(Debug)]
pub struct Namespace {
    /// Inode number.
    pub inode: u32,
    file: File,
}

impl Namespace {
    /// Opens the namespace behind a path of the namespace file system; `None` where there is none.
    #[must_use]
    pub fn open(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let inode = u32::try_from(file.metadata().ok()?.ino()).ok()?;
        Some(Self { inode, file })
    }

    /// The namespace that this thread is in.
    #[must_use]
    pub fn current() -> Option<Self> {
        Self::open(Path::new("/proc/thread-self/ns/net"))
    }

    /// The namespace of the socket behind a descriptor of another process; `None` where either is
    /// gone or may not be looked at.
    #[must_use]
    pub fn of_socket(pid: u32, fd: u32) -> Option<Self> {
        // SAFETY: no pointers.
        let process = owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
        // SAFETY: no pointers; `process` is open.
        let socket =
            owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) })?;
        // SAFETY: this request takes no argument and returns a new descriptor.
        let namespace = unsafe { libc::ioctl(socket.as_raw_fd(), SOCKET_NAMESPACE) };
        let file = File::from(owned(libc::c_long::from(namespace))?);
        let inode = u32::try_from(file.metadata().ok()?.ino()).ok()?;
        Some(Self { inode, file })
    }

    /// Moves the calling thread, and no other, into the namespace.
    ///
    /// # Errors
    ///
    /// Without `CAP_SYS_ADMIN`.
    pub fn enter(&self) -> io::Result<()> {
        // SAFETY: an open descriptor of a network namespace.
        match unsafe { libc::setns(self.file.as_raw_fd(), libc::CLONE_NEWNET) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn owned(descriptor: libc::c_long) -> Option<OwnedFd> {
    let descriptor = i32::try_from(descriptor).ok().filter(|descriptor| *descriptor >= 0)?;
    // SAFETY: the kernel has just returned it to us as a new descriptor.
    Some(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Every network namespace that a process is in or that is mounted in a usual place, this
/// thread's own first.
#[must_use]
pub fn all() -> Vec<Namespace> {
    let mut namespaces: Vec<Namespace> = Namespace::current().into_iter().collect();
    for candidates in candidates().into_values() {
        let opened = candidates.iter().find_map(|path| Namespace::open(path));
        let Some(namespace) = opened else { continue };
        if namespaces.iter().all(|known| known.inode != namespace.inode) {
            namespaces.push(namespace);
        }
    }
    namespaces
}

/// Paths of the namespace that a process is in: its own, and where its main thread has ended and
/// takes that along, those of its threads.
fn ends_of(process: &Path) -> Vec<PathBuf> {
    let own = process.join("ns/net");
    if fs::metadata(&own).is_ok() {
        return vec![own];
    }
    let threads = fs::read_dir(process.join("task")).into_iter().flatten().flatten();
    threads.map(|thread| thread.path().join("ns/net")).collect()
}

/// Paths that lead to each namespace, by inode number.
fn candidates() -> HashMap<u64, Vec<PathBuf>> {
    let mut found: HashMap<u64, Vec<PathBuf>> = HashMap::new();
    let mut add = |path: PathBuf| {
        let Ok(metadata) = fs::metadata(&path) else { return };
        let paths = found.entry(metadata.ino()).or_default();
        if paths.len() < TRIES {
            paths.push(path);
        }
    };
    for mount in MOUNTS.iter().flat_map(fs::read_dir).flatten().flatten() {
        add(mount.path());
    }
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if process.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit) {
            ends_of(&process.path()).into_iter().for_each(&mut add);
        }
    }
    found
}

//! Network namespaces: finding all of them, entering them.
//!
//! User space has no list of them. A namespace is kept alive by a process in it, a bind mount, an
//! open descriptor of it, or a socket in it; so processes and the usual mount points are looked at
//! first. What else there is the kernel side tells from the kernel's own list, with a number that
//! opens it (since 6.18) or, as far as there are any, descriptors that lead there.

mod spec;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Result, anyhow};

pub use spec::inode_of;

/// Where tools bind-mount network namespaces.
const MOUNTS: [&str; 2] = ["/run/netns", "/run/docker/netns"];

/// `SIOCGSKNS` (`include/uapi/linux/sockios.h`, since 4.10): the namespace of a socket.
const SOCKET_NAMESPACE: libc::c_ulong = 0x894C;

/// `FD_NSFS_ROOT` (`include/uapi/linux/fcntl.h`, since 6.18): where handles of namespaces belong.
const NAMESPACES_ROOT: libc::c_int = -10_003;
/// `FILEID_NSFS` (`include/linux/exportfs.h`): the type of such a handle.
const NAMESPACE_HANDLE: libc::c_int = 0xf1;
/// `NS_GET_NSTYPE` of ioctl_nsfs(2): which kind of namespace a file stands for.
const NAMESPACE_TYPE: libc::c_ulong = 0xb703;

/// `struct file_handle` with a `struct nsfs_file_handle` in it.
#[repr(C)]
struct Handle {
    bytes: libc::c_uint,
    kind: libc::c_int,
    id: [u8; 8],
    namespace_type: libc::c_int,
    inode: u32,
}

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
        Self::of_opened(File::open(path).ok()?)
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
        let socket = descriptor_of(pid, fd)?;
        // SAFETY: this request takes no argument and returns a new descriptor.
        let namespace = unsafe { libc::ioctl(socket.as_raw_fd(), SOCKET_NAMESPACE) };
        Self::of_opened(File::from(owned(libc::c_long::from(namespace))?))
    }

    /// The namespace with a number that the kernel gives each once (`ns_id`); `None` where it has
    /// gone, on kernels before 6.18, and on later ones (seen on 7.3) where sockets alone keep it: what no
    /// process, file or mount uses is inactive there and opened by no handle.
    #[must_use]
    pub fn of_id(id: u64, inode: u32) -> Option<Self> {
        let mut handle = Handle {
            bytes: 16,
            kind: NAMESPACE_HANDLE,
            id: id.to_ne_bytes(),
            namespace_type: libc::CLONE_NEWNET,
            inode,
        };
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        // SAFETY: a handle of the size that it names, for the whole call.
        let opened = unsafe {
            libc::syscall(libc::SYS_open_by_handle_at, NAMESPACES_ROOT, &raw mut handle, flags)
        };
        Some(Self { inode, file: File::from(owned(opened)?) })
    }

    /// The namespace that a descriptor of another process stands for; `None` where it is gone or is
    /// no network namespace.
    #[must_use]
    pub fn of_file(pid: u32, fd: u32) -> Option<Self> {
        let file = File::from(descriptor_of(pid, fd)?);
        is_network(&file).then_some(file).and_then(Self::of_opened)
    }

    fn of_opened(file: File) -> Option<Self> {
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

/// Goes from one namespace to the next in a thread of its own, so that no other thread ever leaves
/// its own, and gives `work` each with whether it could be entered. The one in which it begins takes
/// no right to enter. The first error of `work` ends it.
///
/// # Errors
///
/// When the thread dies or `work` fails.
pub fn tour(
    namespaces: &[Namespace],
    mut work: impl FnMut(&Namespace, io::Result<()>) -> Result<()> + Send,
) -> Result<()> {
    let walk = || -> Result<()> {
        let mut here = Namespace::current().map(|own| own.inode);
        for namespace in namespaces {
            let entered = if here == Some(namespace.inode) { Ok(()) } else { namespace.enter() };
            if entered.is_ok() {
                here = Some(namespace.inode);
            }
            work(namespace, entered)?;
        }
        Ok(())
    };
    thread::scope(|scope| scope.spawn(walk).join())
        .map_err(|_| anyhow!("the thread that visits network namespaces panicked"))?
}

/// Whether a file stands for a network namespace.
fn is_network(file: &File) -> bool {
    // SAFETY: the descriptor is open for the whole call, and this request takes no argument.
    let kind = unsafe { libc::ioctl(file.as_raw_fd(), NAMESPACE_TYPE) };
    kind == libc::CLONE_NEWNET
}

/// A copy of another process's descriptor. Unlike opening `/proc/PID/fd/N` this has no effect on
/// what it stands for, whatever that is.
fn descriptor_of(pid: u32, fd: u32) -> Option<OwnedFd> {
    // SAFETY: no pointers.
    let process = owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
    // SAFETY: no pointers; `process` is open.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) })
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

/// The network namespace that each process is in, by inode number, and the process's id.
pub fn members() -> impl Iterator<Item = (u32, u32)> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let namespace = fs::metadata(process.path().join("ns/net")).ok()?;
        Some((u32::try_from(namespace.ino()).ok()?, pid))
    })
}

/// Network namespaces that are mounted in a usual place, by inode number, and their paths, as far as
/// these can stand in a command line as they are.
pub fn mounts() -> impl Iterator<Item = (u32, String)> {
    let mounts = MOUNTS.iter().flat_map(fs::read_dir).flatten().flatten();
    mounts.filter_map(|mount| {
        let path = mount.path().to_str()?.to_owned();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
        let inode = fs::metadata(&path).ok()?.ino();
        Some((u32::try_from(inode).ok()?, path)).filter(|(_, path)| path.chars().all(is_plain))
    })
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

//! Opening the perf map of a process: a file that a stranger wrote.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::mem::size_of;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use tcptrace_common::memory::Task;

use crate::stacks::file_id::FileId;
use crate::stacks::identity::is_alive;

/// Bytes of a map that are read; of a larger one, the last ones: what was written later counts.
const BYTES_MAX: u64 = 64 << 20;
/// Bytes of a small file in `/proc`.
const SMALL: u64 = 1 << 16;

/// A map that may be read.
#[derive(Debug)]
pub struct MapFile {
    file: File,
    /// Which one it is.
    pub id: FileId,
}

impl MapFile {
    /// The map of a process, in its own mount namespace and by its own process id. `None`: there
    /// is none, or none that can be trusted to be this process's: a regular file of its user or of
    /// root, and of a process that still is the one meant.
    #[must_use]
    pub fn of(task: &Task) -> Option<Self> {
        let dir = PathBuf::from(format!("/proc/{}", task.pid));
        let status = small(&dir.join("status"))?;
        let (pid, euid) = (inner_pid(&status).unwrap_or(task.pid), euid(&status)?);
        let file = open_in_root(&dir.join("root"), &format!("tmp/perf-{pid}.map")).ok()?;
        let own = Self::checked(file, euid)?;
        // Checked last: if it lives now, all of the above was of it.
        is_alive(task.pid, task.start_ns).then_some(own)
    }

    fn checked(file: File, euid: u32) -> Option<Self> {
        let data = file.metadata().ok()?;
        let trusted = data.is_file() && (data.uid() == euid || data.uid() == 0);
        trusted.then(|| Self { file, id: FileId::of(&data) })
    }

    /// Its bytes; those that were added since it was opened are left out.
    #[must_use]
    pub fn read(self) -> Vec<u8> {
        tail(self.file, self.id.bytes(), BYTES_MAX)
    }
}

/// At most so many of the first `length` bytes, those before the end, from the beginning of a line. A hole
/// before them holds no line, and is not read.
fn tail(mut file: File, length: u64, most: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let from = length.saturating_sub(most);
    let from = skip_hole(&file, from).min(length);
    if file.seek(SeekFrom::Start(from)).is_err() {
        return bytes;
    }
    // What was read before an error counts.
    let _ = file.take(length - from).read_to_end(&mut bytes);
    if from > 0 {
        let line = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        bytes.drain(..line);
    }
    bytes
}

/// Where the first data from a place on are; the place itself where the file system does not tell.
fn skip_hole(file: &File, from: u64) -> u64 {
    let Ok(place) = i64::try_from(from) else { return from };
    // SAFETY: an open descriptor; the call moves its place, which is set afterwards.
    let data = unsafe { libc::lseek(file.as_raw_fd(), place, libc::SEEK_DATA) };
    u64::try_from(data).unwrap_or(from)
}

/// Opens a file below a root directory, whatever links there are on the way: none leads out of it.
fn open_in_root(root: &Path, path: &str) -> io::Result<File> {
    let root = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(root)?;
    let path = CString::new(path)?;
    let flags =
        libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: an open_how of zeros is valid: it holds integers alone.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = u64::try_from(flags).unwrap_or_default();
    how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
    // SAFETY: path ends with NUL and how has the size that is given; both live until the call
    // returns.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            root.as_raw_fd(),
            path.as_ptr(),
            &raw const how,
            size_of::<libc::open_how>(),
        )
    };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
    // SAFETY: the kernel just gave this descriptor to us alone.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) }.into())
}

fn small(path: &Path) -> Option<String> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(SMALL).read_to_end(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The process id in the innermost namespace.
fn inner_pid(status: &str) -> Option<u32> {
    field(status, "NSpid:")?.split_whitespace().next_back()?.parse().ok()
}

fn euid(status: &str) -> Option<u32> {
    field(status, "Uid:")?.split_whitespace().nth(1)?.parse().ok()
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name))
}

#[cfg(test)]
mod tests;

//! Files that keep their length while they are mapped. A read of a mapping behind the end of its
//! file, or in a page that its file system cannot give, kills the reader (SIGBUS), and blazesym
//! maps what it reads. So what a stranger can change is copied into memory that nobody else has.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::unix::fs::MetadataExt as _;

/// Most bytes of one file that are copied; a larger one has no names.
const MAX_COPIED: u64 = 256 << 20;

/// Write permission for the group and for others.
const WRITABLE: u32 = 0o022;

/// File systems that can fail to give a page: FUSE, NFS, CIFS (`include/uapi/linux/magic.h`).
const UNSTEADY: [libc::c_long; 4] = [0x6573_5546, 0x6969, 0xff53_4d42, 0xfe53_4d42];

/// The file itself where only root can change it, else a copy and its length in bytes; `None`: it
/// cannot be read, or is too large to be copied.
pub fn steady(file: File) -> Option<(File, u64)> {
    let data = file.metadata().ok()?;
    if is_steady(&file, &data) {
        return Some((file, 0));
    }
    if data.len() > MAX_COPIED {
        return None;
    }
    let mut copy = in_memory().ok()?;
    // The descriptor's own position is shared with others, so it is opened anew.
    let from = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).ok()?;
    let copied = io::copy(&mut from.take(MAX_COPIED), &mut copy).ok()?;
    Some((copy, copied))
}

fn is_steady(file: &File, data: &Metadata) -> bool {
    // SAFETY: zeroes are a valid value of this structure of integers.
    let mut system: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open and the structure valid for the whole call.
    let is_known = unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut system) } == 0;
    is_known && !UNSTEADY.contains(&system.f_type) && data.uid() == 0 && data.mode() & WRITABLE == 0
}

fn in_memory() -> io::Result<File> {
    // SAFETY: a string that ends with NUL, for the whole call.
    let fd = unsafe { libc::memfd_create(c"tcptrace-symbols".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just returned it to us as a new descriptor.
    Ok(unsafe { File::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_others_can_change_is_copied() {
        let path = std::env::temp_dir().join(format!("tcptrace-steady-{}", std::process::id()));
        fs::write(&path, b"program").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
        let (mut copy, bytes) = steady(File::open(&path).unwrap()).unwrap();
        File::create(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!((bytes, copy.metadata().unwrap().len()), (7, 7), "it was truncated since");
        let mut content = String::new();
        io::Seek::rewind(&mut copy).unwrap();
        copy.read_to_string(&mut content).unwrap();
        assert_eq!(content, "program");
    }

    #[test]
    fn what_only_root_can_change_is_taken_as_it_is() {
        let program = File::open("/bin/sh").unwrap();
        assert_eq!(steady(program).unwrap().1, 0);
    }
}

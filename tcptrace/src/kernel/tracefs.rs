//! tracefs where it is not mounted.
//!
//! Attaching to a classic tracepoint takes its number, which only tracefs tells. Minimal hosts
//! and containers do not mount it. The tool does not change the host's mounts for that: a thread
//! takes a private mount namespace, mounts tracefs there, attaches, and is gone with its mount.

use std::fs;
use std::io;
use std::thread;

use anyhow::{Result, anyhow};

const MOUNT_POINT: &std::ffi::CStr = c"/sys/kernel/tracing";
const PLACES: [&str; 2] = ["/sys/kernel/tracing/events", "/sys/kernel/debug/tracing/events"];

/// Runs `work` where tracefs can be read, if that can be had at all.
///
/// # Errors
///
/// Those of `work`.
pub fn with_tracefs<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    if is_mounted() {
        return work();
    }
    let thread = || {
        if let Err(error) = mount_privately() {
            // The hooks that need it say so; the others do without.
            log::debug!("tracefs is not mounted and mounting it privately failed: {error}");
        }
        work()
    };
    thread::scope(|scope| scope.spawn(thread).join())
        .unwrap_or_else(|_| Err(anyhow!("the thread that attaches hooks panicked")))
}

/// Whether tracefs can be read where the tool looks for it.
#[must_use]
pub fn is_mounted() -> bool {
    PLACES.iter().any(|place| fs::metadata(place).is_ok())
}

fn mount_privately() -> io::Result<()> {
    // SAFETY: takes no pointers; changes this thread's view of mounts only.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    let recursively_private = libc::MS_REC | libc::MS_PRIVATE;
    mount(c"none", c"/", None, recursively_private)?;
    mount(c"tracefs", MOUNT_POINT, Some(c"tracefs"), 0)
}

fn mount(
    source: &std::ffi::CStr,
    target: &std::ffi::CStr,
    kind: Option<&std::ffi::CStr>,
    flags: libc::c_ulong,
) -> io::Result<()> {
    let kind = kind.map_or(std::ptr::null(), std::ffi::CStr::as_ptr);
    // SAFETY: strings that end with NUL and live across the call; no data for these mounts.
    check(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind, flags, std::ptr::null()) })
}

fn check(status: libc::c_int) -> io::Result<()> {
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

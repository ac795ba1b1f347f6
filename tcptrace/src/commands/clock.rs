//! The clocks.

use std::mem::zeroed;

/// Monotonic clock, ns: the clock of everything that the kernel side stamps.
#[must_use]
pub fn monotonic_ns() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Wall clock, ns since 1970.
#[must_use]
pub fn wall_ns() -> u64 {
    read(libc::CLOCK_REALTIME)
}

fn read(clock: libc::clockid_t) -> u64 {
    // SAFETY: `timespec` is two integers.
    let mut time: libc::timespec = unsafe { zeroed() };
    // SAFETY: a valid pointer; both clocks exist on every Linux, so the call does not fail.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

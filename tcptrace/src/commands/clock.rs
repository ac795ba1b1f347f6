//! The clocks.

use std::mem::zeroed;

/// How often both clocks are read to compare them.
const READINGS: u32 = 5;

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

/// Wall clock minus monotonic clock, ns: of a few readings the one between whose two monotonic times
/// the least passed. A thread that is preempted between two clocks would shift every time that it
/// tells by as long as it waited.
#[must_use]
pub fn wall_offset_ns() -> u64 {
    let reading = || {
        let before = monotonic_ns();
        let wall = wall_ns();
        let after = monotonic_ns();
        (after - before, wall.saturating_sub(before.midpoint(after)))
    };
    let readings = (0..READINGS).map(|_| reading());
    readings.min_by_key(|(took, _)| *took).map_or(0, |(_, offset)| offset)
}

fn read(clock: libc::clockid_t) -> u64 {
    // SAFETY: `timespec` is two integers.
    let mut time: libc::timespec = unsafe { zeroed() };
    // SAFETY: a valid pointer; both clocks exist on every Linux, so the call does not fail.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec.cast_unsigned() * 1_000_000_000 + time.tv_nsec.cast_unsigned()
}

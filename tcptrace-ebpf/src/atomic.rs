//! Steps that nobody can come in between. `core` has no atomics for this target, though its
//! instruction set does (since Linux 5.12). Every slot is in a map, or in `.bss`, which is one:
//! aligned, and alive at least until the program returns.

/// Adds one, at once for all CPUs.
#[cfg(target_arch = "bpf")]
#[inline(always)]
pub fn add_one(slot: *mut u64) {
    // SAFETY: see above; the instruction touches nothing else.
    unsafe {
        core::arch::asm!("lock *(u64 *)({slot} + 0) += {one}", slot = in(reg) slot, one = in(reg) 1_u64);
    }
}

/// Writes `new` where `old` is, in one step; returns what was there.
#[cfg(target_arch = "bpf")]
#[inline(always)]
pub fn exchange(slot: *mut u64, old: u64, new: u64) -> u64 {
    let mut seen = old;
    // SAFETY: see above; the instruction touches nothing else.
    unsafe {
        core::arch::asm!(
            "r0 = cmpxchg_64({slot} + 0, r0, {new})",
            slot = in(reg) slot,
            new = in(reg) new,
            inout("r0") seen,
        );
    }
    seen
}

/// For tools that look at this crate as if it were built for the host.
#[cfg(not(target_arch = "bpf"))]
pub fn add_one(_slot: *mut u64) {}

/// For tools that look at this crate as if it were built for the host.
#[cfg(not(target_arch = "bpf"))]
pub fn exchange(_slot: *mut u64, old: u64, _new: u64) -> u64 {
    old
}

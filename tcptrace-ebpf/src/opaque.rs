//! Bounds that the verifier sees.

/// A value of which the compiler knows nothing. It drops a mask that it can prove to be idle, but
/// the verifier, which forgets what it knew when a value moves between registers, needs it.
#[cfg(target_arch = "bpf")]
#[inline(always)]
pub fn opaque(value: u64) -> u64 {
    let mut opaque = value;
    // SAFETY: a register is moved to itself. With no instruction at all two lines of the source
    // would belong to the next one, and the kernel refuses that.
    unsafe { core::arch::asm!("{value} = {value}", value = inout(reg) opaque) };
    opaque
}

/// For tools that look at this crate as if it were built for the host.
#[cfg(not(target_arch = "bpf"))]
pub fn opaque(value: u64) -> u64 {
    value
}

//! What the verifier knows of a value, and what it had better not know.

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

/// 0, of which the verifier knows nothing: it takes anything in `.bss` for anything. Nobody writes
/// it.
#[unsafe(no_mangle)]
static mut NOUGHT: u64 = 0;

/// 0, as far as the program is concerned, and any number, as far as the verifier is: it follows
/// what comes after once, where it would follow it for every value that it knows.
#[inline(always)]
pub fn nought() -> u64 {
    // SAFETY: nobody writes it; volatile, or the compiler would take it for the constant it is.
    unsafe { (&raw const NOUGHT).read_volatile() }
}

/// The number of an address. The verifier allows no arithmetic with a pointer of the kernel, but
/// what is read from a place in the stack that it does not know is a number to it (seen on 6.1 to
/// 7.3; programs that may not leak pointers are refused).
#[inline(always)]
pub fn number(address: u64) -> u64 {
    let twice = [address; 2];
    let either = opaque(nought()) as usize & 1;
    // SAFETY: within the array.
    unsafe { twice.as_ptr().add(either).read_volatile() }
}

//! Which system call the task that runs now is in, where a hook is one of a function of the kernel
//! that many ways lead to.
//!
//! Numbers: `arch/x86/entry/syscalls/syscall_64.tbl`, `syscall_32.tbl` beside it,
//! `include/uapi/asm-generic/unistd.h`.

use tcptrace_common::field::Field;

use crate::config::{has, load};
use crate::task::saved_registers;

/// Whether it is `accept` or `accept4`, and which of its arguments are known.
pub enum Accept {
    /// It is, of a 64-bit program.
    Native,
    /// It may be, of a 32-bit program, whose calls have one number for many things.
    Foreign,
    /// It is not.
    No,
}

/// Whether the current task accepts a connection. Not through io_uring, where it may be in any
/// call.
#[inline(always)]
pub fn accept() -> Accept {
    match number() {
        Some((X86, 43 | 288) | (ARM, 202 | 242)) => Accept::Native,
        Some((X86, 364) | (X86_32, _)) => Accept::Foreign,
        _ => Accept::No,
    }
}

/// Whether the user's stack of the current task is that of whoever opens a socket now: the call is
/// one that can do so, at its beginning, for itself. What io_uring does later it does in any call.
///
/// In this order: connect, listen, sendto, sendmsg, sendmmsg, io_uring_enter; the numbers from 345 to 370
/// are those of 32-bit calls, which a 64-bit program may make too and which are nobody else's.
#[inline(always)]
pub fn opens() -> bool {
    matches!(
        number(),
        Some(
            (X86, 42 | 50 | 44 | 46 | 307 | 426 | 345 | 362 | 363 | 369 | 370)
                | (ARM, 203 | 201 | 206 | 211 | 269 | 426)
                | (X86_32, _)
        )
    )
}

const X86: u8 = 0;
const X86_32: u8 = 1;
const ARM: u8 = 2;

/// `__USER32_CS` (`arch/x86/include/asm/segment.h`): the code segment of 32-bit programs.
const USER_CODE_32: u16 = 0x23;

/// The number, and in which table.
#[inline(always)]
fn number() -> Option<(u8, u32)> {
    let registers = saved_registers();
    // SAFETY: the verifier knows what the helper returned, which is never null; the fields are
    // numbers, of which the lower part is enough.
    unsafe {
        if has(Field::RegsSystemCall) && has(Field::RegsCs) {
            let is_32_bit = load::<u16>(registers, Field::RegsCs) == USER_CODE_32;
            let table = if is_32_bit { X86_32 } else { X86 };
            Some((table, load::<u64>(registers, Field::RegsSystemCall) as u32))
        } else if has(Field::ArmSystemCall) {
            Some((ARM, load(registers, Field::ArmSystemCall)))
        } else {
            None
        }
    }
}

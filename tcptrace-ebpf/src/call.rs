//! Which system call the task that runs now is in, where a hook is one of a function of the kernel
//! that many ways lead to.
//!
//! Numbers: `arch/x86/entry/syscalls/syscall_64.tbl`, `syscall_32.tbl` beside it,
//! `include/uapi/asm-generic/unistd.h`.

use tcptrace_common::field::Field;

use crate::config::{has, load};
use crate::task::{first_argument, has_user_stack, saved_registers};

/// Whether it is `accept` or `accept4`.
pub enum Accept {
    /// It is, on this descriptor.
    On(u64),
    /// It may be, of a 32-bit program, which has one call for many things.
    Maybe,
    /// It is not.
    No,
}

/// Whether the current task accepts a connection. Not through io_uring, where it may be in any
/// call.
#[inline(always)]
pub fn accept() -> Accept {
    let on = |descriptor: Option<u64>| descriptor.map_or(Accept::No, Accept::On);
    match number() {
        Some((X86, 43 | 288) | (ARM, 202 | 242)) => on(first_argument()),
        Some((X86 | X86_32, 364)) => on(first_foreign_argument()),
        Some((X86_32, _)) => Accept::Maybe,
        _ => Accept::No,
    }
}

/// Whether the user's stack of the current task is that of whoever opens a socket now, as far as the call
/// can tell: it is one that may open. A thread that has no such stack is taken too, because that is
/// what is to be said of it.
///
/// In this order: connect, listen, sendto, sendmsg, sendmmsg, io_uring_enter; the numbers from 345 to 370
/// are those of 32-bit calls, which a 64-bit program may make too and which are nobody else's.
#[inline(always)]
pub fn opens() -> bool {
    !has_user_stack()
        || matches!(
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

/// The number, and in which table; `None` where no user's call led here.
#[inline(always)]
fn number() -> Option<(u8, u32)> {
    if !has_user_stack() {
        return None;
    }
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

/// The first argument of a 32-bit call.
#[inline(always)]
fn first_foreign_argument() -> Option<u64> {
    if !has(Field::RegsForeignArgument) {
        return None;
    }
    // SAFETY: the verifier knows what the helper returned, which is never null.
    let argument: u64 = unsafe { load(saved_registers(), Field::RegsForeignArgument) };
    Some(u64::from(argument as u32))
}

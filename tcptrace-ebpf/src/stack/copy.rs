//! Copying a user stack for user space to finish.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use tcptrace_common::stack::MAX_COPY;

use super::record::{PAGE, Record};

/// Pages that a copy can touch.
const PIECES: usize = MAX_COPY / PAGE + 1;

/// Copies from the frontier's stack pointer on, page by page: a read that crosses into a page that
/// is not there gives nothing at all.
#[inline(always)]
pub fn stack(record: &mut Record) {
    let from = record.header.frontier.sp;
    let mut done = 0;
    for _ in 0..PIECES {
        if done >= MAX_COPY {
            break;
        }
        let at = from.wrapping_add(done as u64);
        let piece = PAGE - (at as usize & (PAGE - 1));
        let to = record.stack.as_mut_ptr().cast::<c_void>().wrapping_byte_add(done);
        // SAFETY: `done` is less than `MAX_COPY` and `piece` at most a page, so this lies within
        // the buffer; the helper checks the user's address.
        if unsafe { bpf_probe_read_user(to, piece as u32, at as *const c_void) } != 0 {
            break;
        }
        done += piece;
    }
    record.header.copied = if done > MAX_COPY { MAX_COPY as u32 } else { done as u32 };
}

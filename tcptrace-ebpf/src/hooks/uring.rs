//! Who accepted a connection through io_uring, which passes no accept system call.
//!
//! Kernel contract: `io_uring_complete` fires for each completion; for an accept into a normal
//! descriptor the result is that descriptor, installed in the files of the current task (seen on
//! 6.1, 6.12, 6.18: the submitter, its task work, or its SQPOLL thread). Its arguments differ:
//! up to 6.13 `(ctx, req, user_data, res, …)`, later `(ctx, req, cqe)`; user space loads the
//! program that fits the number of parameters in BTF. A multishot accept completes without a
//! request.

use core::ffi::c_void;

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use tcptrace_common::field::Field;
use tcptrace_common::memory::{SocketMemory, role};

use crate::config::read;
use crate::hooks::accept::{accepted, served};
use crate::memory;
use crate::sock::Sock;
use crate::task::{sock_at, sock_of_file};

/// `IORING_OP_ACCEPT` (`include/uapi/linux/io_uring.h`).
const OP_ACCEPT: u8 = 13;

#[btf_tracepoint(function = "io_uring_complete")]
fn tcptrace_uring_cqe(ctx: BtfTracePointContext) -> i32 {
    if let Some(result) = read(ctx.arg(2), Field::UringResult) {
        completed(ctx.arg(1), result);
    }
    0
}

#[btf_tracepoint(function = "io_uring_complete")]
fn tcptrace_uring_res(ctx: BtfTracePointContext) -> i32 {
    completed(ctx.arg(1), ctx.arg(3));
    0
}

#[inline(always)]
fn completed(request: *const c_void, result: i32) -> Option<()> {
    let fd = u64::try_from(result).ok()?;
    if request.is_null() {
        adopted(sock_at(fd)?)?;
        return Some(());
    }
    let into_slot = read::<u32>(request, Field::UringAcceptSlot).unwrap_or_default() != 0;
    if read::<u8>(request, Field::UringOpcode)? != OP_ACCEPT || into_slot {
        return None;
    }
    adopted(sock_at(fd)?)?;
    served(sock_of_file(read(request, Field::UringFile)?)?)
}

/// An opener for a child whose birth was traced and which nobody is known to have accepted. The
/// condition keeps a result that is no descriptor (bytes of a multishot receive) from naming an
/// opener for a socket that came to its process in another way.
#[inline(always)]
fn adopted(sk: Sock) -> Option<&'static mut SocketMemory> {
    let memory = memory::find(sk)?;
    if memory.role != role::PASSIVE || memory.opener.pid != 0 {
        return None;
    }
    accepted(sk)
}

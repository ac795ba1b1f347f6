//! The read that delivers end-of-file.
//!
//! Kernel contract (since 6.3; seen on 6.12, 6.18, 7.3): `sock_recv_length(sk, ret, flags)` fires
//! at the end of every receive call, in the context of the reader. `ret` is 0 at end-of-file, but
//! also for a read of zero bytes, and the peer's FIN may not be there; so the socket is asked. (A
//! read of zero bytes consumes a FIN that waits, and returns 0: it counts as told.)
//!
//! Before 6.3 the end of `tcp_recvmsg(sk, msg, len, flags, addr_len)` tells the same, where functions of
//! the kernel can be hooked (seen on 6.1); a read that waited before the tool came is not seen there.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::{btf_tracepoint, fexit};
use aya_ebpf::programs::{BtfTracePointContext, FExitContext};
use tcptrace_common::counter::Counter;
use tcptrace_common::tcp::{MSG_ERRQUEUE, MSG_PEEK};

use crate::maps::count;
use crate::memory::recall_or_begin;
use crate::stack;
use crate::task::current_process;
use crate::typed_sock::TypedSock;

#[btf_tracepoint(function = "sock_recv_length")]
fn tcptrace_eof(ctx: BtfTracePointContext) -> i32 {
    if is_end(ctx.arg(1), ctx.arg(2)) {
        // SAFETY: `sock_recv_length(sk, ret, flags)`.
        witness(unsafe { TypedSock::new(ctx.arg(0)) });
    }
    0
}

#[fexit(function = "tcp_recvmsg")]
fn tcptrace_received(ctx: FExitContext) -> i32 {
    if ctx.ret().is_ok_and(|returned| is_end(returned, ctx.arg(3))) {
        // SAFETY: `tcp_recvmsg(sk, msg, len, flags, addr_len)`.
        witness(unsafe { TypedSock::new(ctx.arg(0)) });
    }
    0
}

/// Whether a read may have returned end-of-file.
#[inline(always)]
fn is_end(returned: i32, flags: i32) -> bool {
    returned == 0 && flags & (MSG_PEEK | MSG_ERRQUEUE) == 0
}

/// Remembers the first read that returned end-of-file.
#[inline(always)]
fn witness(typed: TypedSock) -> Option<()> {
    let sk = typed.untyped();
    if !typed.is_tcp() || sk.stream_protocol().is_none() || !sk.at_end_of_file() {
        return None;
    }
    let memory = recall_or_begin(sk, typed.cookie())?;
    if memory.eof_ns == 0 {
        current_process(&mut memory.eof_reader)?;
        // SAFETY: no preconditions.
        memory.eof_ns = unsafe { bpf_ktime_get_ns() };
        memory.eof_stack = stack::capture();
        count(Counter::EofReads);
    }
    Some(())
}

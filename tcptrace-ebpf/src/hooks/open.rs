//! The stacks of connect() and listen().
//!
//! Kernel contract: the transition CLOSE→SYN_SENT or CLOSE→LISTEN happens within the system call
//! and names the opener (see `set_state`); at its exit the thread's user stack is still that of the
//! call, and the descriptor is still its first argument. The walk through the stack is kept out of
//! `set_state`, because a transition in a softirq is not seen while that program runs on its CPU.

use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;

use crate::hooks::accept::RETURNED;
use crate::memory;
use crate::sock::Sock;
use crate::stack;
use crate::task::{first_argument, is_current, sock_at};

/// Attached to `sys_exit_connect` and `sys_exit_listen`.
#[tracepoint]
fn tcptrace_open(ctx: TracePointContext) -> u32 {
    // SAFETY: the field is there on every kernel with these tracepoints; the helper checks.
    let returned: Result<i64, _> = unsafe { ctx.read_at(RETURNED) };
    if returned.is_ok_and(is_open)
        && let Some(sk) = first_argument().and_then(sock_at)
    {
        opened(sk);
    }
    0
}

/// Whether the socket may be open now: done, or under way with `EINPROGRESS`, or with `EINTR`
/// (`include/uapi/asm-generic/errno.h`).
#[inline(always)]
fn is_open(returned: i64) -> bool {
    matches!(returned, 0 | -115 | -4)
}

/// Remembers the stack where this very thread has opened the socket and none is known.
#[inline(always)]
fn opened(sk: Sock) -> Option<()> {
    let memory = memory::find(sk)?;
    if memory.open_stack == 0 && memory.opened_ns != 0 && is_current(&memory.opener) {
        memory.open_stack = stack::capture();
    }
    Some(())
}

//! The stacks of connect() and listen().
//!
//! Kernel contract: the transition CLOSE→SYN_SENT or CLOSE→LISTEN happens within the system call
//! and names the opener (see `set_state`). The walk through the stack is kept out of `set_state`,
//! because a transition in a softirq is not seen while that program runs on its CPU.
//!
//! Where functions of the kernel can be hooked (seen on 6.1, 6.12, 7.3), the one that comes next tells
//! of every way to open: `__inet_hash_connect(death_row, sk, …)` follows CLOSE→SYN_SENT in
//! `tcp_v4_connect()` and `tcp_v6_connect()`, before Fast Open may put the rest off, and
//! CLOSE→LISTEN is made in `inet_csk_listen_start(sk, …)`. Where not, the calls' exits tell of
//! theirs: the thread's user stack is still that of the call, and the descriptor its first argument.

use aya_ebpf::macros::{fentry, fexit, tracepoint};
use aya_ebpf::programs::{FEntryContext, FExitContext, TracePointContext};

use crate::call;
use crate::hooks::accept::RETURNED;
use crate::memory;
use crate::sock::Sock;
use crate::stack;
use crate::task::{first_argument, is_current, sock_at};

#[fentry(function = "__inet_hash_connect")]
fn tcptrace_connect(ctx: FEntryContext) -> i32 {
    if call::opens() {
        opened(Sock::new(ctx.arg(1)));
    }
    0
}

#[fexit(function = "inet_csk_listen_start")]
fn tcptrace_listen(ctx: FExitContext) -> i32 {
    if call::opens() {
        opened(Sock::new(ctx.arg(0)));
    }
    0
}

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

//! Who accepted a connection.
//!
//! Kernel contract (seen on 5.10, 6.1, 6.12, 6.18, 7.3): `sys_exit_accept` and `sys_exit_accept4`
//! run in the context of the caller, `ret` at offset 16 is the new descriptor, already installed.
//! glibc's accept() uses the one or the other by architecture and version, so both are needed.
//! The exit may come before SYN_RECV→ESTABLISHED and after CLOSE_WAIT: the state is not looked at.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use tcptrace_common::counter::Counter;
use tcptrace_common::memory::role;
use tcptrace_common::tcp::{IPPROTO_TCP, state};

use crate::maps::count;
use crate::memory::recall_or_begin;
use crate::sock::Sock;
use crate::task::{current_process, first_argument, sock_at};

/// Offset of `ret` in `struct trace_event_raw_sys_exit`.
const RETURNED: usize = 16;

#[tracepoint]
fn tcptrace_accept(ctx: TracePointContext) -> u32 {
    on_exit(&ctx);
    0
}

#[tracepoint]
fn tcptrace_accept4(ctx: TracePointContext) -> u32 {
    on_exit(&ctx);
    0
}

#[inline(always)]
fn on_exit(ctx: &TracePointContext) -> Option<()> {
    // SAFETY: the field is there on every kernel with this tracepoint; the helper checks.
    let returned: i64 = unsafe { ctx.read_at(RETURNED) }.ok()?;
    let fd = u64::try_from(returned).ok()?;
    let sk = sock_at(fd)?;
    accepted(sk)?;
    if let Some(listener) = first_argument().and_then(sock_at) {
        served(listener);
    }
    Some(())
}

/// Remembers the current process as the opener of an accepted socket. `None` where that is no
/// TCP socket.
#[inline(always)]
pub fn accepted(sk: Sock) -> Option<()> {
    if sk.stream_protocol()? != IPPROTO_TCP {
        return None;
    }
    let memory = recall_or_begin(sk, sk.raw_cookie())?;
    memory.role = role::PASSIVE;
    // SAFETY: no preconditions.
    memory.opened_ns = unsafe { bpf_ktime_get_ns() };
    current_process(&mut memory.opener)?;
    count(Counter::Openers);
    Some(())
}

/// Remembers that accept() has just succeeded on a listener.
#[inline(always)]
pub fn served(listener: Sock) -> Option<()> {
    if listener.stream_protocol()? != IPPROTO_TCP || listener.state() != state::LISTEN {
        return None;
    }
    let memory = recall_or_begin(listener, listener.raw_cookie())?;
    memory.role = role::LISTENER;
    memory.state = state::LISTEN;
    // SAFETY: no preconditions.
    memory.last_accept_ns = unsafe { bpf_ktime_get_ns() };
    Some(())
}

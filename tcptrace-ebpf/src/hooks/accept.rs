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
use tcptrace_common::memory::{SocketMemory, role};
use tcptrace_common::tcp::{IPPROTO_TCP, state};

use crate::maps::count;
use crate::memory::recall_or_begin;
use crate::sock::Sock;
use crate::stack::{self, Asker};
use crate::task::{current_process, first_argument, sock_at};

/// Offset of `ret` in `struct trace_event_raw_sys_exit`.
pub const RETURNED: usize = 16;

/// Attached to both.
#[tracepoint]
fn tcptrace_accept(ctx: TracePointContext) -> u32 {
    on_exit(&ctx);
    0
}

#[inline(always)]
fn on_exit(ctx: &TracePointContext) -> Option<()> {
    // SAFETY: the field is there on every kernel with this tracepoint; the helper checks.
    let returned: i64 = unsafe { ctx.read_at(RETURNED) }.ok()?;
    if returned < 0 {
        return if is_want(returned) {
            failed(first_argument().and_then(sock_at)?, returned)
        } else {
            None
        };
    }
    let sk = sock_at(returned as u64)?;
    let memory = accepted(sk)?;
    if let Some(listener) = first_argument().and_then(sock_at) {
        served(listener);
    }
    // Last: whatever comes after is verified once for each way through the walk.
    memory.open_stack = stack::capture(Asker::Call);
    Some(())
}

/// Remembers the current process as the opener of an accepted socket. `None` where that is no
/// TCP socket.
#[inline(always)]
pub fn accepted(sk: Sock) -> Option<&'static mut SocketMemory> {
    if sk.stream_protocol()? != IPPROTO_TCP {
        return None;
    }
    let memory = recall_or_begin(sk, sk.raw_cookie())?;
    memory.role = role::PASSIVE;
    // SAFETY: no preconditions.
    memory.opened_ns = unsafe { bpf_ktime_get_ns() };
    current_process(&mut memory.opener)?;
    count(Counter::Openers);
    Some(memory)
}

/// Whether accept() failed because the process or the host has run out of something: `EMFILE`,
/// `ENFILE`, `ENOMEM`, `ENOBUFS` (`include/uapi/asm-generic/errno.h`). That an accept() finds
/// nothing or is interrupted is normal.
#[inline(always)]
fn is_want(returned: i64) -> bool {
    matches!(returned, -24 | -23 | -12 | -105)
}

/// Remembers on a listener that accept() is called and fails.
#[inline(always)]
fn failed(listener: Sock, returned: i64) -> Option<()> {
    listening(listener)?.end_error = -returned as i32;
    Some(())
}

/// The memory of a listener; `None` where it is not one.
#[inline(always)]
fn listening(listener: Sock) -> Option<&'static mut SocketMemory> {
    if listener.stream_protocol()? != IPPROTO_TCP || listener.state() != state::LISTEN {
        return None;
    }
    let memory = recall_or_begin(listener, listener.raw_cookie())?;
    memory.role = role::LISTENER;
    memory.state = state::LISTEN;
    Some(memory)
}

/// Remembers that accept() has just succeeded on a listener.
#[inline(always)]
pub fn served(listener: Sock) -> Option<()> {
    let memory = listening(listener)?;
    memory.end_error = 0;
    // SAFETY: no preconditions.
    memory.last_accept_ns = unsafe { bpf_ktime_get_ns() };
    Some(())
}

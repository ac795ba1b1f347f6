//! Who accepted a connection, where functions of the kernel cannot be hooked (see `graft`).
//!
//! Kernel contract (seen on 5.10, 6.1, 6.12, 6.18, 7.3): `sys_exit_accept` and `sys_exit_accept4`
//! run in the context of the caller, `ret` at offset 16 is the new descriptor, already installed.
//! glibc's accept() uses the one or the other by architecture and version, so both are needed.
//! The exit may come before SYN_RECV→ESTABLISHED and after CLOSE_WAIT: the state is not looked at.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_get_current_pid_tgid, bpf_ktime_get_ns};
use aya_ebpf::macros::tracepoint;
use aya_ebpf::programs::TracePointContext;
use tcptrace_common::counter::Counter;
use tcptrace_common::memory::{SocketMemory, role};
use tcptrace_common::tcp::{IPPROTO_TCP, state};

use crate::atomic::add_one;
use crate::maps::{SERVED, count};
use crate::memory::{find, recall_or_begin};
use crate::sock::Sock;
use crate::stack;
use crate::task::{
    current_process, file_at, first_argument, sock_at, sock_of_file, sock_of_socket_file,
};

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
    let file = file_at(returned as u64)?;
    let memory = match newborn(file) {
        Some(memory) => opened(memory)?,
        None => accepted(sock_of_file(file)?)?,
    };
    if let Some(descriptor) = first_argument() {
        served_by(descriptor, memory.opened_ns);
    }
    // Last: whatever comes after is verified once for each way through the walk.
    memory.open_stack = stack::capture();
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
    opened(memory)
}

/// The memory of a child whose birth was traced and which nobody has accepted yet: that of nearly
/// every socket that accept() returns. That there is one spares all doubt about what the file is.
#[inline(always)]
fn newborn(file: *const c_void) -> Option<&'static mut SocketMemory> {
    let sk = sock_of_socket_file(file)?;
    let memory = find(sk)?;
    if memory.role != role::PASSIVE || memory.opener.pid != 0 {
        return None;
    }
    let cookie = sk.raw_cookie();
    (memory.cookie == 0 || memory.cookie == cookie).then_some(memory)
}

/// Remembers the current process as the opener.
#[inline(always)]
pub fn opened(memory: &'static mut SocketMemory) -> Option<&'static mut SocketMemory> {
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
pub fn is_want(returned: i64) -> bool {
    matches!(returned, -24 | -23 | -12 | -105)
}

/// Remembers on a listener that accept() is called and fails.
#[inline(always)]
pub fn failed(listener: Sock, returned: i64) -> Option<()> {
    listening(listener)?.end_error = -returned as i32;
    add_one(&raw mut FAILURES);
    Some(())
}

/// How many accept() have failed for want of something, on all CPUs.
#[unsafe(no_mangle)]
static mut FAILURES: u64 = 0;

/// That accept() succeeds on a listener is noted so often, ns.
const NOTE_EVERY_NS: u64 = 100_000_000;

/// The success that was noted last on a CPU.
#[repr(C)]
pub struct Served {
    thread: u64,
    descriptor: u64,
    at_ns: u64,
    failures: u64,
}

/// Remembers on the listener behind a descriptor that accept() succeeds, unless it was noted just
/// now: the same thread has accepted from the same descriptor, and no accept() has failed since.
#[inline(always)]
pub fn served_by(descriptor: u64, now: u64) -> Option<()> {
    let last = SERVED.get_ptr_mut(0)?;
    // SAFETY: this CPU's own. What two threads mix there, should one preempt the other, is wrong
    // for as long as a note is valid.
    let last = unsafe { &mut *last };
    // SAFETY: a word in `.bss`.
    let failures = unsafe { (&raw const FAILURES).read_volatile() };
    let thread = bpf_get_current_pid_tgid();
    if last.thread == thread
        && last.descriptor == descriptor
        && last.failures == failures
        && now - last.at_ns < NOTE_EVERY_NS
    {
        return None;
    }
    *last = Served { thread, descriptor, at_ns: now, failures };
    served(sock_at(descriptor)?)
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

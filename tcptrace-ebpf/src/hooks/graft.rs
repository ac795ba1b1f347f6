//! Who accepted a connection, from functions of the kernel: no tracepoint of a system call, which
//! would have every system call of every process take the kernel's slow way out.
//!
//! Kernel contract (6.1, 6.12, 7.3): `security_sock_graft(sk, parent)` (`sock_graft()`,
//! `include/net/sock.h`) is called when an accepted connection gets its `struct socket`, in the
//! context of the caller and after it has waited: so also for one that waited before the tool came.
//! `parent->sk` is set by then. A subflow of MPTCP is grafted to a socket that is another's, perhaps
//! by an interrupt. That accept() fails for want of a descriptor is seen at its exit alone.

use core::ffi::c_void;

use aya_ebpf::macros::{fentry, fexit};
use aya_ebpf::programs::{FEntryContext, FExitContext};
use tcptrace_common::field::Field;
use tcptrace_common::memory::role;
use tcptrace_common::tcp::{IPPROTO_TCP, state};

use crate::call::{self, Accept};
use crate::config::read_pointer;
use crate::hooks::accept::{failed, is_want, opened, served_by};
use crate::memory::recall_or_begin;
use crate::sock::Sock;
use crate::stack;
use crate::task::{first_argument, sock_at, uses_uring};
use crate::typed_sock::TypedSock;

#[fentry(function = "security_sock_graft")]
fn tcptrace_graft(ctx: FEntryContext) -> i32 {
    // SAFETY: `security_sock_graft(sk, parent)`.
    grafted(unsafe { TypedSock::new(ctx.arg(0)) }, ctx.arg(1));
    0
}

#[inline(always)]
fn grafted(typed: TypedSock, parent: *const c_void) -> Option<()> {
    let sk = typed.untyped();
    if !typed.is_tcp() || sk.stream_protocol()? != IPPROTO_TCP {
        return None;
    }
    if read_pointer(parent, Field::SocketSk)? as u64 != sk.key() {
        return None;
    }
    let descriptor = match call::accept() {
        Accept::On(descriptor) if uses_uring() && !is_child(sk, descriptor) => return None,
        Accept::On(descriptor) => Some(descriptor),
        Accept::Maybe => None,
        Accept::No => return None,
    };
    let memory = recall_or_begin(sk, typed.cookie())?;
    memory.role = role::PASSIVE;
    let memory = opened(memory)?;
    if let Some(descriptor) = descriptor {
        served_by(descriptor, memory.opened_ns);
    }
    memory.open_stack = stack::capture();
    Some(())
}

/// Whether the listener behind a descriptor can have brought the connection forth. While a thread waits in
/// accept(), io_uring may accept for it from another one.
#[inline(always)]
fn is_child(sk: Sock, descriptor: u64) -> bool {
    sock_at(descriptor).is_some_and(|listener| {
        listener.state() == state::LISTEN && listener.local_port() == sk.local_port()
    })
}

/// Attached to the exit of `accept`.
#[fexit(function = "__x64_sys_accept")]
fn tcptrace_accept_end(ctx: FExitContext) -> i32 {
    ended(&ctx);
    0
}

/// Attached to the exit of `accept4`.
#[fexit(function = "__x64_sys_accept4")]
fn tcptrace_accept4_end(ctx: FExitContext) -> i32 {
    ended(&ctx);
    0
}

#[inline(always)]
fn ended(ctx: &FExitContext) -> Option<()> {
    let returned: i64 = ctx.ret().ok()?;
    if is_want(returned) {
        failed(first_argument().and_then(sock_at)?, returned);
    }
    Some(())
}

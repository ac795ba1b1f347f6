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
use tcptrace_common::tcp::IPPROTO_TCP;

use crate::call::{self, Accept};
use crate::config::read_pointer;
use crate::hooks::accept::{failed, is_want, opened, served_by};
use crate::memory::recall_or_begin;
use crate::stack;
use crate::task::{first_argument, sock_at};
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
    let call = call::accept();
    let owned = read_pointer(parent, Field::SocketSk)?;
    if matches!(call, Accept::No) || owned as u64 != sk.key() {
        return None;
    }
    let memory = recall_or_begin(sk, typed.cookie())?;
    memory.role = role::PASSIVE;
    let memory = opened(memory)?;
    if matches!(call, Accept::Native)
        && let Some(descriptor) = first_argument()
    {
        served_by(descriptor, memory.opened_ns);
    }
    memory.open_stack = stack::capture();
    Some(())
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

//! The timers of mini-sockets.
//!
//! Kernel contract (seen on 5.10, 6.1, 6.12, 6.18, 7.3): `timer_cancel(timer)` fires for every timer of
//! the host whose time has come, or that is given up or set to another time, under the lock of its
//! CPU's timer base, with interrupts off.

use core::ffi::c_void;

use aya_ebpf::macros::{btf_tracepoint, raw_tracepoint};
use aya_ebpf::programs::{BtfTracePointContext, RawTracePointContext};
use tcptrace_common::field::Field;
use tcptrace_common::setting::Setting;

use crate::config::{load, setting};
use crate::mini::{Mini, end};

#[btf_tracepoint(function = "timer_cancel")]
fn tcptrace_timer_cancel(ctx: BtfTracePointContext) -> i32 {
    end::timer_cancelled(mini_of(ctx.arg(0)));
    0
}

/// Attached to nothing: user space has it run on a CPU where no timer moves, with interrupts off.
#[raw_tracepoint(tracepoint = "timer_cancel")]
fn tcptrace_settle(_ctx: RawTracePointContext) -> i32 {
    end::settle();
    0
}

/// The mini-socket whose timer this is, if it is one's.
#[inline(always)]
fn mini_of(timer: *const c_void) -> Option<Mini> {
    // SAFETY: the hooks' argument, a `struct timer_list *` that is never null.
    let function = unsafe { load::<u64>(timer, Field::TimerFunction) };
    (function == setting(Setting::MiniTimer)).then(|| Mini::of_timer(timer))
}

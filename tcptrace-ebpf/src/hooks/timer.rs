//! The timers of mini-sockets.
//!
//! Kernel contract (seen on 5.10, 6.1, 6.12, 6.18, 7.3): `timer_start(timer, …)` and
//! `timer_cancel(timer)` fire for every timer of the host, under the lock of its CPU's timer base,
//! with interrupts off. A timer that is set to another time is cancelled and started in one go, on
//! one CPU; one whose time has come is cancelled before it is called.

use core::ffi::c_void;

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use tcptrace_common::field::Field;
use tcptrace_common::setting::Setting;

use crate::config::{load, setting};
use crate::mini::{self, Mini};

#[btf_tracepoint(function = "timer_start")]
fn tcptrace_timer_start(ctx: BtfTracePointContext) -> i32 {
    mini::timer_started(mini_of(ctx.arg(0)));
    0
}

#[btf_tracepoint(function = "timer_cancel")]
fn tcptrace_timer_cancel(ctx: BtfTracePointContext) -> i32 {
    mini::timer_cancelled(mini_of(ctx.arg(0)));
    0
}

/// The mini-socket whose timer this is, if it is one's.
#[inline(always)]
fn mini_of(timer: *const c_void) -> Option<Mini> {
    // SAFETY: the hooks' argument, a `struct timer_list *` that is never null.
    let function = unsafe { load::<u64>(timer, Field::TimerFunction) };
    (function == setting(Setting::MiniTimer)).then(|| Mini::of_timer(timer))
}

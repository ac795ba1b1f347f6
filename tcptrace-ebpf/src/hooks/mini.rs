//! Mini-sockets, from functions of the kernel.
//!
//! Kernel contract (6.1, 6.12, 7.3; `net/ipv4/inet_timewait_sock.c`): `__inet_twsk_schedule(tw, timeo,
//! rearm)` sets the timer of a mini-socket, once more (`rearm`) when a segment begins its time anew,
//! and then it is in its new state already. `inet_twsk_kill(tw)` is called once for each, at its end, for
//! whatever reason, with all that it was still in it. Both with softirqs off.

use aya_ebpf::macros::fentry;
use aya_ebpf::programs::FEntryContext;

use crate::mini::{Mini, told};

#[fentry(function = "__inet_twsk_schedule")]
fn tcptrace_mini_move(ctx: FEntryContext) -> i32 {
    // A `bool`, of which the low byte counts.
    if ctx.arg::<u64>(2) & 1 != 0 {
        told::rescheduled(Mini::at(ctx.arg(0)));
    }
    0
}

#[fentry(function = "inet_twsk_kill")]
fn tcptrace_mini_end(ctx: FEntryContext) -> i32 {
    told::ended(Mini::at(ctx.arg(0)));
    0
}

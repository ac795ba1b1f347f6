//! Programs that processes run: a new one makes the rules of the old one wrong.
//!
//! Kernel contract (seen on 6.18): `sched_process_exec(task, old_pid, bprm)` fires in the process
//! that has just got its new program; `sched_process_fork(parent, child)` fires in the parent
//! before the child runs, for threads too.

use core::ffi::c_void;

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use tcptrace_common::field::Field;

use crate::config::read;
use crate::maps::PROCESSES;
use crate::task::current_tgid;

#[btf_tracepoint(function = "sched_process_exec")]
fn tcptrace_exec(_ctx: BtfTracePointContext) -> i32 {
    // An error says that the process was not known.
    let _ = PROCESSES.remove(current_tgid());
    0
}

#[btf_tracepoint(function = "sched_process_fork")]
fn tcptrace_fork(ctx: BtfTracePointContext) -> i32 {
    forked(ctx.arg(1));
    0
}

/// A child has the memory of its parent, and so its rules; a stale entry of an earlier process with
/// its pid goes.
#[inline(always)]
fn forked(child: *const c_void) -> Option<()> {
    let (tgid, tid) = (read::<u32>(child, Field::Tgid)?, read::<u32>(child, Field::Tid)?);
    if tgid != tid {
        return None;
    }
    match PROCESSES.get_ptr(current_tgid()) {
        // SAFETY: a value of the map lives at least until this program returns.
        Some(parent) => PROCESSES.insert(tgid, unsafe { *parent }, 0).ok(),
        None => PROCESSES.remove(tgid).ok(),
    }
}

//! Programs that processes run: a new one makes the rules of the old one wrong.
//!
//! Kernel contract (seen on 6.18): `sched_process_exec(task, old_pid, bprm)` fires in the process
//! that has just got its new program, and `bprm->file` is that of the program, for a script its
//! interpreter's; `sched_process_fork(parent, child)` fires in the parent before the child runs,
//! for threads too.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_ktime_get_ns, bpf_probe_read_kernel};
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use tcptrace_common::counter::Counter;
use tcptrace_common::field::Field;
use tcptrace_common::stack::{StackHeader, end};

use crate::config::{read, read_pointer};
use crate::maps::{PROCESSES, STACKS, count};
use crate::task::{current_process, current_tgid};

#[btf_tracepoint(function = "sched_process_exec")]
fn tcptrace_exec(ctx: BtfTracePointContext) -> i32 {
    // An error says that the process was not known.
    let _ = PROCESSES.remove(current_tgid());
    if runs_python(ctx.arg(2)).unwrap_or_default() {
        announce();
    }
    0
}

/// Whether the new program is called `python…`. Its frames can be walked only once user space has
/// looked at it, which is too late for its first socket unless it looks now.
#[inline(always)]
fn runs_python(bprm: *const c_void) -> Option<bool> {
    let file = read_pointer(bprm, Field::BinprmFile)?;
    let name = read_pointer(read_pointer(file, Field::FileDentry)?, Field::DentryName)?;
    // SAFETY: the helper checks the address and fails on a bad one.
    let name = unsafe { bpf_probe_read_kernel(name.cast::<[u8; 6]>()) }.ok()?;
    Some(name == *b"python")
}

#[inline(always)]
fn announce() -> Option<()> {
    let mut header =
        StackHeader { tgid: current_tgid(), end: end::PYTHON_STARTS, ..StackHeader::default() };
    // SAFETY: no preconditions.
    header.time_ns = unsafe { bpf_ktime_get_ns() };
    current_process(&mut header.task)?;
    if STACKS.output::<StackHeader>(header, 0).is_err() {
        count(Counter::StackLost);
    }
    Some(())
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

//! Children of the processes that are asked for.
//!
//! Kernel contract (seen on 6.18): `sched_process_fork(parent, child)` fires for each new task, also
//! for threads, in the parent's context, when the child has its pids and its start time and has
//! not run yet.

use core::ffi::c_void;

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use tcptrace_common::counter::Counter;
use tcptrace_common::memory::Task;

use crate::maps::{PIDS, count};
use crate::task::process_of;

#[btf_tracepoint(function = "sched_process_fork")]
fn tcptrace_follow(ctx: BtfTracePointContext) -> i32 {
    follow(ctx.arg(0), ctx.arg(1));
    0
}

/// A child of a process that is asked for is asked for too. It stays so when it has ended: its
/// sockets may live on.
#[inline(always)]
fn follow(parent: *const c_void, child: *const c_void) -> Option<()> {
    let (mut from, mut to) = (Task::EMPTY, Task::EMPTY);
    // SAFETY: the hook's arguments, `struct task_struct *` that are never null.
    unsafe {
        process_of(parent, &mut from)?;
        process_of(child, &mut to)?;
    }
    if from.pid != to.pid && is_asked_for(&from) && PIDS.insert(to.pid, to.start_ns, 0).is_err() {
        count(Counter::ChildrenFull);
    }
    Some(())
}

/// Whether a process is asked for: it has that pid, and is no later one that has it again.
#[inline(always)]
pub fn is_asked_for(task: &Task) -> bool {
    // SAFETY: a value of the map lives at least until this program returns.
    PIDS.get_ptr(task.pid).is_some_and(|latest| task.start_ns <= unsafe { *latest })
}

//! The user stack of the task that runs now: taken, named by an id, sent once.
//!
//! Called in process context alone, in the call that opens a socket or at its exit, or in a read. The walk uses rules that
//! user space has learned (see `tcptrace_common::unwind`); where one is missing the stack is
//! copied and user space finishes it.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::helpers::generated::bpf_probe_read_user;
use tcptrace_common::counter::Counter;
use tcptrace_common::setting::Setting;
use tcptrace_common::stack::{ProcessEntry, end, stack_id};
use tcptrace_common::unwind::{Frame, fold};

use crate::config::setting;
use crate::maps::{PROCESSES, SEEN, count};
use crate::opaque::opaque;
use crate::task::{current_process, current_program, current_tgid, user_registers};
use crate::words::clear;

mod budget;
mod copy;
mod desk;
mod python;
mod record;
mod trail;
mod walk;
mod window;

pub use desk::{DESKS, Taken};
pub use record::Record;

/// Takes the stack; its id, or one of [`stack_id`] that says why there is none.
#[inline(always)]
pub fn capture() -> u64 {
    if setting(Setting::Stacks) == 0 {
        return stack_id::NONE;
    }
    let Some(leaf) = user_registers() else { return stack_id::NO_USER };
    count(Counter::Stacks);
    let Some(desk) = desk::take() else {
        count(Counter::StackLost);
        return stack_id::LOST;
    };
    // SAFETY: ours alone until it is left.
    let id = take(unsafe { &mut *desk.record }, leaf);
    desk.leave();
    id.unwrap_or(stack_id::LOST)
}

#[inline(always)]
fn take(record: &mut Record, leaf: Frame) -> Option<u64> {
    let tgid = current_tgid();
    let program = current_program();
    // What user space said of the program before exec() can come after exec().
    // SAFETY: a value of the map lives at least until this program returns.
    let is_of = |process: &*mut ProcessEntry| unsafe { (**process).program } == program;
    let process = PROCESSES.get_ptr_mut(tgid).filter(is_of);
    // SAFETY: a value of the map lives at least until this program returns.
    let tag = process.map_or(0, |process| unsafe { (*process).tag });
    // SAFETY: no preconditions.
    let time_ns = unsafe { bpf_ktime_get_ns() };
    let header = &mut record.header;
    clear(header);
    (header.time_ns, header.program, header.frontier) = (time_ns, program, leaf);
    (header.tgid, header.tag) = (tgid, tag);
    let mut copied = 0;
    if process.is_none() {
        record.header.end = end::NO_PROCESS;
        record.frames[0] = leaf.pc;
        record.header.frames = 1;
    } else if let Some(span) = trail::follow(record) {
        copied = span;
    } else {
        walk::native(record);
        trail::remember(record);
    }
    if let Some(process) = process {
        // SAFETY: a value of the map lives at least until this program returns.
        python::frames(record, unsafe { (*process).python }, copied);
    }
    record.header.id = identity(record);
    deliver(record, process)
}

/// The same for the same stack of the same program image; where user space has to finish it,
/// nobody can tell yet, and the time makes it one of its own.
#[inline(always)]
fn identity(record: &Record) -> u64 {
    let header = &record.header;
    let mut id = fold(header.id, u64::from(header.tag));
    if header.end != end::COMPLETE {
        id = fold(id, u64::from(header.end));
    }
    if is_unfinished(header.end) {
        id = fold(fold(id, header.time_ns), u64::from(header.tgid));
    }
    if id <= stack_id::LAST { id ^ (1 << 63) } else { id }
}

const fn is_unfinished(end: u32) -> bool {
    matches!(end, end::NO_RULE | end::NO_PROCESS)
}

/// Sends the stack unless it was sent before.
#[inline(always)]
fn deliver(record: &mut Record, process: Option<*mut ProcessEntry>) -> Option<u64> {
    if is_unfinished(record.header.end) {
        if budget::pay(process, record.header.time_ns) {
            count(Counter::StackMisses);
            copy::stack(record);
        } else {
            record.header.end = end::BUDGET;
            record.header.id =
                fold(fold(record.frames[0], u64::from(record.header.tag)), u64::from(end::BUDGET));
        }
    }
    let id = record.header.id;
    if !is_unfinished(record.header.end) {
        if SEEN.get_ptr(id).is_some() {
            return Some(id);
        }
        // The map replaces its oldest entries, so this does not fail for want of room.
        let _ = SEEN.insert(id, record.header.time_ns, 0);
    }
    current_process(&mut record.header.task);
    if record.send() {
        return Some(id);
    }
    count(Counter::StackLost);
    let _ = SEEN.remove(id);
    None
}

/// A word of the user's memory.
#[inline(always)]
fn word(address: u64) -> Option<u64> {
    let mut word = 0_u64;
    let to = (&raw mut word).cast();
    // SAFETY: the helper writes one word from any address, or fails.
    let result = unsafe { bpf_probe_read_user(to, size_of::<u64>() as u32, address as *const _) };
    // Read in both cases, so that no path has a value that was never written.
    let word = opaque(word);
    (result == 0).then_some(word)
}

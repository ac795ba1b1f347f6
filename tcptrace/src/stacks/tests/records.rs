//! Records of each kind, and what the kernel side is told.

use std::collections::HashSet;

use tcptrace_common::memory::Task;
use tcptrace_common::stack::{StackHeader, end};
use tcptrace_common::unwind::cfa;

use super::super::raw::{Origin, RawStack};
use super::super::reason;
use super::super::receive::{Stacks, Updates};
use super::capture::{Captured, capture};
use crate::lifecycle::stack::StackStatus;

/// The tag that the kernel side was given.
fn tag(updates: &Updates) -> u32 {
    updates.processes[0].1.unwrap().tag
}

fn with(captured: &Captured, change: impl FnOnce(&mut StackHeader)) -> Vec<u8> {
    let mut header = captured.header(100);
    change(&mut header);
    captured.record(&header, &[])
}

fn stack(stacks: &Stacks) -> &RawStack {
    stacks.get(100).unwrap()
}

#[test]
fn an_unknown_process_is_learnt_with_its_rules() {
    let (captured, mut stacks) = (capture(), Stacks::new());
    let updates = stacks.receive(&with(&captured, |_| {})).unwrap();
    assert_eq!(stack(&stacks).status, StackStatus::Ok);
    assert_eq!(updates.processes.len(), 1);
    assert_eq!(updates.rules.len(), stack(&stacks).frames.len());
    let last = updates.rules.last().unwrap().1.unwrap();
    assert_eq!(last.cfa, cfa::END);

    let again = stacks.receive(&with(&captured, |header| {
        header.tag = tag(&updates);
        header.end = end::NO_RULE;
    }));
    let again = again.unwrap();
    assert_eq!((again.processes.len(), again.rules.len()), (0, 1), "the frontier's is sent again");
    assert_eq!(stack(&stacks).status, StackStatus::Ok);
}

#[test]
fn the_end_of_a_walk_is_told() {
    let (captured, mut stacks) = (capture(), Stacks::new());
    for (end, text) in [
        (end::UNREADABLE, "could not be read"),
        (end::BROKEN, "does not lie above"),
        (end::TOO_LONG, "longer than 128"),
        (end::BUDGET, "more new stacks"),
        (77, "reason 77"),
    ] {
        stacks.receive(&with(&captured, |header| header.end = end)).unwrap();
        let StackStatus::Truncated(reason) = &stack(&stacks).status else { panic!("{end}") };
        assert!(reason.contains(text), "{reason}");
        assert!(matches!(stack(&stacks).frames[0].origin, Origin::File(..)));
    }
    stacks.receive(&with(&captured, |header| header.end = end::COMPLETE)).unwrap();
    assert_eq!(stack(&stacks).status, StackStatus::Ok);
}

#[test]
fn a_process_that_is_gone_leaves_its_addresses() {
    let (captured, mut stacks) = (capture(), Stacks::new());
    let gone = Task { pid: 4_194_303, ..Task::default() };
    let updates = stacks.receive(&with(&captured, |header| header.task = gone)).unwrap();
    assert_eq!(updates, Updates::default());
    assert_eq!(stack(&stacks).status, StackStatus::Failed(reason::GONE.to_owned()));
    assert!(matches!(stack(&stacks).frames[0].origin, Origin::Unknown));
}

#[test]
fn a_forked_child_that_is_gone_is_told_by_its_parents_image() {
    let (captured, mut stacks) = (capture(), Stacks::new());
    let updates = stacks.receive(&with(&captured, |_| {})).unwrap();
    let gone = Task { pid: 4_194_303, ..Task::default() };
    stacks
        .receive(&with(&captured, |header| {
            (header.task, header.tgid) = (gone, gone.pid);
            (header.tag, header.end) = (tag(&updates), end::NO_RULE);
        }))
        .unwrap();
    assert_eq!(stack(&stacks).status, StackStatus::Ok);
}

#[test]
fn another_program_under_the_same_id_is_not_taken_for_it() {
    let (captured, mut stacks) = (capture(), Stacks::new());
    stacks
        .receive(&with(&captured, |header| header.task.comm = *b"before-exec\0\0\0\0\0"))
        .unwrap();
    assert_eq!(stack(&stacks).status, StackStatus::Failed(reason::OTHER_PROGRAM.to_owned()));
}

#[test]
fn an_address_in_no_code_is_no_frame() {
    let (mut captured, mut stacks) = (capture(), Stacks::new());
    let pc = captured.frame.pc;
    captured.frame.pc = 0x1234;
    captured.frame.is_leaf = 0;
    let mut header = captured.header(100);
    header.frames = 2;
    stacks.receive(&captured.record(&header, &[pc])).unwrap();
    let stack = stack(&stacks);
    assert_eq!(stack.frames.len(), 1);
    assert!(stack.status.reason().unwrap().contains("0x1234"), "{:?}", stack.status);
}

#[test]
fn made_code_is_followed_only_as_far_as_calls_bear_it_out() {
    let made = Made::new();
    let (mut captured, mut stacks) = (capture(), Stacks::new());
    let return_address = captured.frame.pc;
    // A frame of made code whose `rbp` leads to words that are no return addresses.
    captured.frame = tcptrace_common::unwind::Frame {
        pc: made.0 + 16,
        sp: captured.frame.sp,
        bp: captured.frame.sp,
        link: 0,
        is_leaf: 0,
    };
    captured.copy[..8].copy_from_slice(&0_u64.to_le_bytes());
    // No call ends where the stack was taken.
    captured.copy[8..16].copy_from_slice(&return_address.to_le_bytes());
    let mut header = captured.header(100);
    header.frames = 2;
    stacks.receive(&captured.record(&header, &[return_address])).unwrap();
    let stack = stack(&stacks);
    assert_eq!(stack.frames.len(), 2);
    assert!(matches!(stack.frames[1].origin, Origin::Jit));
    assert!(stack.status.reason().unwrap().contains("made at run time"), "{:?}", stack.status);
}

#[test]
fn a_zero_in_a_register_is_no_end_of_made_code() {
    let made = Made::new();
    let (mut captured, mut stacks) = (capture(), Stacks::new());
    let leaf = captured.frame.pc;
    captured.frame =
        tcptrace_common::unwind::Frame { pc: made.0 + 16, bp: 0, is_leaf: 0, ..captured.frame };
    let mut header = captured.header(100);
    header.frames = 2;
    stacks.receive(&captured.record(&header, &[leaf])).unwrap();
    assert!(matches!(stack(&stacks).status, StackStatus::Truncated(_)));
}

/// Executable memory without a file.
struct Made(u64);

impl Made {
    fn new() -> Self {
        let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0) };
        assert_ne!(address, libc::MAP_FAILED);
        Self(address as u64)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own.
        unsafe { libc::munmap(self.0 as *mut libc::c_void, 4096) };
    }
}

#[test]
fn a_sweep_forgets_the_dead_and_keeps_the_living() {
    let (captured, mut stacks) = (capture(), Stacks::new());
    stacks.receive(&with(&captured, |_| {})).unwrap();
    assert_eq!(stacks.sweep(&HashSet::new()), Updates::default());
    assert!(stacks.get(100).is_some());
}

#[test]
fn stacks_that_nothing_wants_are_dropped_when_there_are_many() {
    let (captured, mut stacks) = (capture(), Stacks::new());
    let gone = Task { pid: 4_194_303, ..Task::default() };
    for id in 1000..1000 + 17_000 {
        let record = with(&captured, |header| (header.id, header.task) = (id, gone));
        stacks.receive(&record).unwrap();
    }
    let wanted = HashSet::from([1000, 5000]);
    assert!(stacks.sweep(&wanted).forget.is_empty(), "all are recent");
    assert_eq!(stacks.sweep(&wanted).forget.len(), 17_000 - 2);
    assert!(stacks.get(5000).is_some() && stacks.get(5001).is_none());
}

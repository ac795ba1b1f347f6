//! The walk through the frames of machine code.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_loop;
use tcptrace_common::stack::{MAX_FRAMES, end, stack_flag};
use tcptrace_common::trail::{Noting, TrailKey};
use tcptrace_common::unwind::{Frame, RuleKey, Step, cfa, fold, rule_flag, step};

use super::Record;
use super::window::{NO_WINDOW, Window};
use crate::maps::RULES;

/// Where the walk is.
struct Walk {
    record: *mut Record,
    frame: Frame,
    hash: u64,
    /// Address of the piece of the stack that is in the record's window.
    window: u64,
    tag: u32,
    frames: u32,
    end: u32,
    flags: u32,
}

/// Walks from the innermost frame, which is in `frontier`, as far as rules lead; leaves the hash of
/// the program counters in `id`.
#[inline(always)]
pub fn native(record: &mut Record) {
    let leaf = record.header.frontier;
    let key = TrailKey::new(&leaf, record.header.tag);
    record.noting = Noting::begin(&mut record.trail, key, leaf.bp);
    let mut walk = Walk {
        record,
        frame: leaf,
        hash: 0,
        window: NO_WINDOW,
        tag: record.header.tag,
        frames: 0,
        end: end::TOO_LONG,
        flags: 0,
    };
    // SAFETY: the kernel calls back with a pointer to `walk` before the helper returns.
    unsafe { bpf_loop(MAX_FRAMES as u32, one as *mut c_void, (&raw mut walk).cast::<c_void>(), 0) };
    let header = &mut record.header;
    header.frontier = walk.frame;
    header.frames = walk.frames;
    header.flags = walk.flags;
    header.end = walk.end;
    header.id = walk.hash;
}

/// One frame, called by the kernel. Returns 1 to end the walk.
extern "C" fn one(_index: u32, walk: *mut Walk) -> i64 {
    // SAFETY: the pointer that `native` gave.
    let walk = unsafe { &mut *walk };
    let frame = walk.frame;
    // SAFETY: the record that `native` was given lives as long as the walk.
    let (frames, words) = unsafe { (&mut (*walk.record).frames, &mut (*walk.record).window) };
    frames[walk.frames as usize & (MAX_FRAMES - 1)] = frame.pc;
    walk.frames += 1;
    walk.hash = fold(walk.hash, frame.pc);
    let key = RuleKey { pc: frame.pc, tag: walk.tag, is_leaf: frame.is_leaf as u32 };
    let Some(rule) = RULES.get_ptr(key) else { return stop(walk, end::NO_RULE) };
    // SAFETY: a value of the map lives at least until this program returns.
    let rule = unsafe { &*rule };
    if rule.flags & rule_flag::ASSUMED != 0 {
        walk.flags |= stack_flag::ASSUMED;
    }
    if rule.cfa == cfa::NONE {
        return stop(walk, end::NO_INFO);
    }
    let mut window = Window { words, base: walk.window };
    let step = step(&frame, rule, |address| window.word(frame.sp, address));
    walk.window = window.base;
    // SAFETY: as above.
    let (noting, trail) = unsafe { (&mut (*walk.record).noting, &mut (*walk.record).trail) };
    noting.note(trail, &frame, rule, &step);
    match step {
        Step::Caller(caller) => {
            walk.frame = caller;
            0
        }
        Step::End => stop(walk, end::COMPLETE),
        Step::Unreadable => stop(walk, end::UNREADABLE),
        Step::Broken => stop(walk, end::BROKEN),
    }
}

#[inline(always)]
fn stop(walk: &mut Walk, end: u32) -> i64 {
    walk.end = end;
    1
}

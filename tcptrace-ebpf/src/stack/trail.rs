//! The short way: the stack is word for word that of an earlier walk, see
//! `tcptrace_common::trail`.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_loop;
use aya_ebpf::helpers::generated::{bpf_get_prandom_u32, bpf_probe_read_user};
use tcptrace_common::counter::Counter;
use tcptrace_common::stack::{MAX_COPY, MAX_FRAMES, end};
use tcptrace_common::trail::{Comparison, RETURN, TRAIL_SPAN, TRAIL_WORDS, Trail, TrailKey};
use tcptrace_common::unwind::fold;

use super::Record;
use crate::maps::{TRAILS, count};
use crate::opaque::opaque;

/// One walk in so many is remembered: what comes again is remembered soon, and a program whose
/// stacks are all different pays next to nothing.
const EVERY: u32 = 8;

/// Where the comparison is.
struct Follow {
    record: *mut Record,
    trail: *const Trail,
    comparison: Comparison,
    hash: u64,
    frames: u32,
}

/// Fills in the frames as `walk::native` would, if there is a trail from the innermost frame, which
/// is in `frontier`, and every word of it is as it was. Returns how many bytes of the stack are in
/// the record then.
#[inline(always)]
pub fn follow(record: &mut Record) -> Option<u64> {
    let leaf = record.header.frontier;
    let key = TrailKey::new(&leaf, record.header.tag);
    // SAFETY: a value of the map lives at least until this program returns.
    let trail = unsafe { &*TRAILS.get_ptr(key)? };
    // Masked, because Linux 6.1 forgets the comparison where the number comes back from the stack.
    let (words, span) = (trail.count, opaque(u64::from(trail.span) & (2 * TRAIL_SPAN - 1)));
    const { assert!(2 * TRAIL_SPAN <= MAX_COPY as u64) };
    if words as usize > TRAIL_WORDS || span > TRAIL_SPAN {
        return None;
    }
    let to = record.stack.as_mut_ptr().cast();
    // SAFETY: the buffer is longer than the longest span; the helper checks the user's address.
    if unsafe { bpf_probe_read_user(to, span as u32, leaf.sp as *const c_void) } != 0 {
        return None;
    }
    record.frames[0] = leaf.pc;
    let comparison = Comparison::begin(trail, &leaf);
    let mut follow = Follow { record, trail, comparison, hash: fold(0, leaf.pc), frames: 1 };
    // SAFETY: the kernel calls back with a pointer to `follow` before the helper returns.
    unsafe { bpf_loop(words, one as *mut c_void, (&raw mut follow).cast::<c_void>(), 0) };
    if !follow.comparison.holds(trail, &key) {
        return None;
    }
    let header = &mut record.header;
    header.frames = follow.frames;
    header.frontier.pc = record.frames[(follow.frames - 1) as usize & (MAX_FRAMES - 1)];
    header.flags = trail.flags;
    header.end = end::COMPLETE;
    header.id = follow.hash;
    count(Counter::StackTrails);
    Some(span)
}

/// One word, called by the kernel.
extern "C" fn one(index: u32, follow: *mut Follow) -> i64 {
    // SAFETY: the pointer that `follow` gave.
    let follow = unsafe { &mut *follow };
    // SAFETY: a value of the map, which lives at least until the program returns.
    let trail = unsafe { &*follow.trail };
    let index = index as usize & (TRAIL_WORDS - 1);
    let (at, expected) = (trail.at[index], trail.words[index]);
    // SAFETY: the record that `follow` was given lives as long as the comparison.
    let (frames, stack) = unsafe { (&mut (*follow.record).frames, &(*follow.record).stack) };
    let found = stack[Comparison::place(at) & (TRAIL_SPAN as usize / 8 - 1)];
    follow.comparison.compare(at, expected, found);
    if at & RETURN != 0 {
        frames[follow.frames as usize & (MAX_FRAMES - 1)] = found;
        follow.frames += 1;
        follow.hash = fold(follow.hash, found);
    }
    0
}

/// Remembers the trail of the walk that has just come to the outermost frame.
#[inline(always)]
pub fn remember(record: &mut Record) {
    if record.header.end != end::COMPLETE {
        return;
    }
    // SAFETY: no preconditions.
    if unsafe { bpf_get_prandom_u32() } % EVERY != 0 {
        return;
    }
    let Some(key) = record.noting.end(&mut record.trail, record.header.flags) else { return };
    let trail = &record.trail;
    // The map replaces its oldest entries, so this does not fail for want of room.
    let _ = TRAILS.insert(key, trail, 0);
}

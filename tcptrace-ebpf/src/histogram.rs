//! Histograms of dwell times, counted here so that nothing crosses a ring: by state alone in a
//! per-CPU array, which costs a look-up and an addition; by a key too in a hash map, whose entries
//! come with the keys. A dwell that finds no place there is counted in the array, without its key.

use aya_ebpf::bindings::BPF_NOEXIST;
use tcptrace_common::counter::Counter;
use tcptrace_common::histogram::{
    AT_LEAST, AT_MOST, KERNEL, KeyedSlot, OUTGOING, SLOTS, UNKNOWN, by,
};
use tcptrace_common::memory::{SocketMemory, role};
use tcptrace_common::record::{DWELL_UNKNOWN, bound};
use tcptrace_common::setting::Setting;

use crate::atomic::add_one;
use crate::config::setting;
use crate::maps::{KEY_HISTOGRAMS, STATE_HISTOGRAMS, count as count_event};
use crate::opaque::opaque;

/// Counts a dwell of `dwell_ns` in the state `from`; `how` is its [`bound`].
#[inline(always)]
pub fn count(from: u8, dwell_ns: u64, how: u8, memory: &SocketMemory) {
    if !is_wanted(from) {
        return;
    }
    if dwell_ns == DWELL_UNKNOWN {
        return add(from, UNKNOWN, memory);
    }
    add(from, KERNEL.index(dwell_ns), memory);
    match how {
        bound::AT_LEAST => add(from, AT_LEAST, memory),
        bound::AT_MOST => add(from, AT_MOST, memory),
        _ => {}
    }
}

/// Whether user space wants this dwell counted.
#[inline(always)]
fn is_wanted(from: u8) -> bool {
    setting(Setting::HistogramStates) & (1 << (from & 31)) != 0
}

#[inline(always)]
fn add(state: u8, slot: u64, memory: &SocketMemory) {
    if setting(Setting::HistogramBy) == u64::from(by::STATE) {
        add_to_state(state, slot);
    } else if add_to_key(&keyed(state, slot, memory)).is_none() {
        add_to_state(state, slot);
        if slot <= UNKNOWN {
            count_event(Counter::HistogramOther);
        }
    }
}

#[inline(always)]
fn add_to_state(state: u8, slot: u64) {
    let slot = opaque(slot);
    if slot >= SLOTS as u64 {
        return;
    }
    if let Some(histogram) = STATE_HISTOGRAMS.get_ptr_mut(u32::from(state)) {
        add_one(histogram.cast::<u64>().wrapping_add(slot as usize));
    }
}

/// `None` where there is no place for another key.
#[inline(always)]
fn add_to_key(key: &KeyedSlot) -> Option<()> {
    if let Some(count) = KEY_HISTOGRAMS.get_ptr_mut(key) {
        add_one(count);
        return Some(());
    }
    // Another CPU may do the same at this moment: whoever comes second finds the first one's.
    let _ = KEY_HISTOGRAMS.insert(key, 0, u64::from(BPF_NOEXIST));
    add_one(KEY_HISTOGRAMS.get_ptr_mut(key)?);
    Some(())
}

#[inline(always)]
fn keyed(state: u8, slot: u64, memory: &SocketMemory) -> KeyedSlot {
    let mut keyed = KeyedSlot { slot: slot as u16, state, ..KeyedSlot::default() };
    let told_apart_by = setting(Setting::HistogramBy);
    if told_apart_by == u64::from(by::COMM) {
        keyed.key = memory.opener.comm;
    } else if told_apart_by == u64::from(by::LOCAL_PORT) {
        if memory.role == role::ACTIVE {
            keyed.family = OUTGOING;
        } else {
            let [first, second] = memory.tuple.local_port.to_ne_bytes();
            keyed.key[0] = first;
            keyed.key[1] = second;
        }
    } else {
        keyed.key = memory.tuple.remote_addr;
        keyed.family = memory.tuple.family;
    }
    keyed
}

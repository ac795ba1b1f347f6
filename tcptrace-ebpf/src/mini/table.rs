//! What is remembered of connections that mini-sockets carry, by the mini-socket's address.
//!
//! A busy host has a hundred thousand of them, each for a minute, and makes and ends one with each
//! connection. So there is a table of the kernel side's own, as for sockets ([`crate::near`]), in
//! which a mini-socket has one cache line, address included: nearly always the only one that is
//! touched. Who finds a row full goes to a hash map. A place is taken by one compare-and-exchange
//! and given back by a plain store.

use core::mem::offset_of;

use aya_ebpf::bindings::BPF_F_MMAPABLE;
use tcptrace_common::counter::Counter;
use tcptrace_common::memory::{SocketMemory, memory_flag};
use tcptrace_common::mini::{MiniMemory, NEAR_MINIS};

use crate::atomic::exchange;
use crate::maps::{MINIS_FAR, MINIS_NEAR, count};
use crate::near::{high_bits, mixed};
use crate::opaque::{nought, number, opaque};
use crate::words::copy;

/// Pages of mini-sockets that share a row.
const WAYS: usize = 4;
/// Mini-sockets in a page: each is some 250 bytes long.
const IN_A_PAGE: usize = 16;
/// Places in a row.
const PLACES: usize = WAYS * IN_A_PAGE;
/// Rows; a power of two.
pub const ROWS: u32 = NEAR_MINIS / PLACES as u32;
/// Lets the kernel align the table to a page, and so each place to a cache line.
pub const ALIGNED: u32 = BPF_F_MMAPABLE;

/// A row of places, as long as a page.
pub type Row = [MiniMemory; PLACES];

/// What a far memory begins with, in read-only memory: programs have 512 bytes of stack.
const EMPTY: &MiniMemory = &MiniMemory::EMPTY;

/// Whether any was ever far: nobody looks there before.
#[unsafe(no_mangle)]
static mut MINI_FAR: u64 = 0;

/// How a mini-socket stands where it differs from what was remembered of its socket.
pub struct Entered {
    /// Its state.
    pub state: u8,
    /// Since when; 0: not known.
    pub since_ns: u64,
    /// [`memory_flag`].
    pub flags: u8,
}

/// Remembers a connection for the mini-socket at this address, but for its endpoints, which the
/// mini-socket has itself. `None`: there is no room, which is counted.
#[inline(always)]
pub fn put(key: u64, memory: &SocketMemory, now: &Entered) -> Option<&'static mut MiniMemory> {
    let own = match take(key, memory.cookie) {
        Some(own) => own,
        None => take_far(key)?,
    };
    keep(own, memory, now);
    Some(own)
}

/// What is remembered for the mini-socket with this cookie at this address. Those without a cookie,
/// which are older than the trace, have no place.
#[inline(always)]
pub fn find(key: u64, cookie: u64) -> Option<&'static mut MiniMemory> {
    if cookie == 0 {
        return None;
    }
    match place(key, |slot, key| holds(slot, key, cookie)) {
        Some(own) => Some(own),
        None if is_any_far() => {
            MINIS_FAR.get_ptr_mut(key).map(reference).filter(|own| own.cookie == cookie)
        }
        None => None,
    }
}

/// Forgets it.
#[inline(always)]
pub fn forget(key: u64, own: &mut MiniMemory) {
    if own.sk == key {
        // What is half written later shall not look like this one's.
        (own.cookie, own.state, own.flags) = (0, 0, 0);
        // SAFETY: within a value of a map; from here on the place may be another one's.
        unsafe { (&raw mut own.sk).write_volatile(0) };
    } else {
        let _ = MINIS_FAR.remove(key);
    }
}

/// State and flags of a place with what lies beside them: one word, which changes in one step.
#[inline(always)]
pub fn mark(own: &MiniMemory) -> u64 {
    // SAFETY: aligned, within the place, and as long as what follows (asserted below).
    unsafe { (&raw const own.netns).cast::<u64>().read_volatile() }
}

/// Writes `to` where `from` is. `false`: another CPU was faster.
#[inline(always)]
pub fn change(own: &mut MiniMemory, from: u64, to: u64) -> bool {
    exchange((&raw mut own.netns).cast(), from, to) == from
}

/// The bit of a flag in a [`mark`].
pub const fn bit(flag: u8) -> u64 {
    (flag as u64) << (8 * (offset_of!(MiniMemory, flags) - offset_of!(MiniMemory, netns)))
}

/// The [`mark`] that a memory would have.
#[inline(always)]
pub fn mark_of(memory: &SocketMemory) -> u64 {
    u64::from(memory.netns)
        | u64::from(memory.state) << 32
        | u64::from(memory.role) << 40
        | u64::from(memory.flags) << 48
}

const _: () = assert!(offset_of!(MiniMemory, netns) % 8 == 0);
const _: () = assert!(offset_of!(MiniMemory, netns) + 8 == size_of::<MiniMemory>());
const _: () = assert!(bit(1) == 1 << 48 && cfg!(target_endian = "little"));

/// Where in a [`mark`] the state is.
pub const STATE: u64 = 0xff << 32;

/// The part of a [`mark`] that a state is.
pub const fn in_state(state: u8) -> u64 {
    (state as u64) << 32
}

/// The state in a [`mark`].
#[inline(always)]
pub fn state_in(mark: u64) -> u8 {
    (mark >> 32) as u8
}

/// Copies what is kept of a connection: the cookie last, without which nobody finds it, and in a step
/// that everybody sees before whatever is read after it.
#[inline(always)]
fn keep(own: &mut MiniMemory, memory: &SocketMemory, now: &Entered) {
    // SAFETY: a reference; other CPUs read the word.
    unsafe { (&raw mut own.cookie).write_volatile(0) };
    own.since_ns = now.since_ns;
    copy(&memory.opener, &mut own.opener);
    own.netns = memory.netns;
    own.state = now.state;
    own.role = memory.role;
    own.flags = now.flags;
    exchange(&raw mut own.cookie, 0, memory.cookie);
}

/// What is kept back again, into an empty memory, but for the marks of a place.
#[inline(always)]
pub fn restore(own: &MiniMemory, memory: &mut SocketMemory) {
    memory.cookie = own.cookie;
    memory.since_ns = own.since_ns;
    copy(&own.opener, &mut memory.opener);
    memory.netns = own.netns;
    memory.state = own.state;
    memory.role = own.role;
    memory.flags = own.flags & !(memory_flag::ENDING | memory_flag::AGAIN);
}

/// Whoever finds a memory may write to it.
#[inline(always)]
fn reference(memory: *mut MiniMemory) -> &'static mut MiniMemory {
    // SAFETY: a value of a map lives at least until this program returns. Other CPUs may write it: what
    // they must not do at once is decided by `change`.
    unsafe { &mut *memory }
}

#[inline(always)]
fn holds(slot: *mut u64, key: u64, cookie: u64) -> bool {
    // SAFETY: the first word of a place, and another; other CPUs may write them, which is one store.
    unsafe { slot.read_volatile() == key && reference(slot.cast()).cookie == cookie }
}

/// A place that was free, or that of a mini-socket at the same address whose end was missed. While it
/// is not settled whether one has come to its end, its place is left to it.
#[inline(always)]
fn take(key: u64, cookie: u64) -> Option<&'static mut MiniMemory> {
    place(key, |slot, key| match exchange(slot, 0, key) {
        0 => true,
        before if before == key => {
            let own = reference(slot.cast());
            own.cookie == cookie || own.flags & memory_flag::ENDING == 0
        }
        _ => false,
    })
}

/// The first of the places that a mini-socket can have for which `is_it` says so. Those of one page have
/// theirs side by side, because the kernel makes one after the other there. The ways are gone through
/// from another one on for each page: so most find theirs at once.
#[inline(always)]
fn place(key: u64, is_it: impl Fn(*mut u64, u64) -> bool) -> Option<&'static mut MiniMemory> {
    let address = number(key);
    let mixed = mixed(address >> 12)?;
    let row = MINIS_NEAR.get_ptr_mut(high_bits(mixed, ROWS))?;
    let row = row.cast::<MiniMemory>();
    let in_page = address >> 8 & (IN_A_PAGE as u64 - 1);
    let mut found = PLACES as u64;
    for step in 0..WAYS as u64 {
        let way = (mixed >> 8).wrapping_add(step) & (WAYS as u64 - 1);
        let place = opaque(way * IN_A_PAGE as u64 + in_page) as usize & (PLACES - 1);
        if is_it(row.wrapping_add(place).cast(), key) {
            found = place as u64;
            break;
        }
    }
    if found == PLACES as u64 {
        return None;
    }
    // The verifier shall not follow the rest of the program once for each step.
    let place = opaque(found.wrapping_add(nought())) as usize & (PLACES - 1);
    Some(reference(row.wrapping_add(place)))
}

#[inline(always)]
fn take_far(key: u64) -> Option<&'static mut MiniMemory> {
    if MINIS_FAR.insert(key, EMPTY, 0).is_err() {
        count(Counter::MemoryFull);
        return None;
    }
    // SAFETY: a word in `.bss`; all who write it write the same.
    unsafe {
        if (&raw const MINI_FAR).read_volatile() == 0 {
            (&raw mut MINI_FAR).write_volatile(1);
        }
    }
    MINIS_FAR.get_ptr_mut(key).map(reference)
}

#[inline(always)]
fn is_any_far() -> bool {
    // SAFETY: a word in `.bss`, which other CPUs may write.
    unsafe { (&raw const MINI_FAR).read_volatile() != 0 }
}

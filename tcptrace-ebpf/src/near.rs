//! The near part of what is remembered of sockets: a table of its own, for the thousands of sockets
//! that come and go.
//!
//! A hash map of the kernel allocates each entry, and takes a lock to add and to remove it: some
//! hundred nanoseconds each, on every connection. Here a socket's address leads to a row of
//! [`WAYS`] places in two arrays, one of addresses and one of memories. A place is taken by one
//! compare-and-exchange of its address and given back by a plain store; the program finds it in a
//! few instructions, because the verifier writes look-ups in arrays out. Who finds a row full goes
//! to the hash map, which is the other part and has no such limit.
//!
//! A free place holds an empty memory: it is cleared when it is given back, so that whoever sees
//! the address of a socket never sees what belonged to another one.

use tcptrace_common::memory::{NEAR_SOCKETS, SocketMemory};
use tcptrace_common::setting::Setting;

use crate::atomic::exchange;
use crate::config::setting;
use crate::maps::{NEAR_ADDRESSES, NEAR_MEMORIES};
use crate::opaque::{nought, number, opaque};
use crate::words::clear;

/// Places in a row.
pub const WAYS: usize = 4;
/// Rows; a power of two.
pub const ROWS: u32 = NEAR_SOCKETS / WAYS as u32;

/// Addresses of the sockets in a row; 0: the place is free.
pub type Addresses = [u64; WAYS];
/// Memories in a row.
pub type Memories = [SocketMemory; WAYS];

/// What is remembered of the socket at this address.
#[inline(always)]
pub fn find(address: u64) -> Option<*mut SocketMemory> {
    let (row, addresses) = row_of(address)?;
    for way in 0..WAYS {
        // SAFETY: within the row; another CPU may write it, which is one store.
        if unsafe { addresses.add(way).read_volatile() } == address {
            return memory_at(row, way);
        }
    }
    None
}

/// Takes a free place for a socket that has none. `None` where the row is full.
#[inline(always)]
pub fn take(address: u64) -> Option<*mut SocketMemory> {
    let (row, addresses) = row_of(address)?;
    for way in 0..WAYS {
        // SAFETY: within the row.
        let slot = unsafe { addresses.add(way) };
        if exchange(slot, 0, address) == 0 {
            return memory_at(row, way);
        }
    }
    None
}

/// Gives a socket's place back: both, should two CPUs have taken one at the same moment. Returns
/// whether there was one.
#[inline(always)]
pub fn give_back(address: u64) -> bool {
    let Some((row, addresses)) = row_of(address) else { return false };
    let mut had = false;
    for way in 0..WAYS {
        // SAFETY: within the row.
        let slot = unsafe { addresses.add(way) };
        // SAFETY: as above; the place is this socket's until the last line, and nobody acts for a
        // socket that is at its end.
        unsafe {
            if slot.read_volatile() == address
                && let Some(memory) = memory_at(row, way)
            {
                clear(&mut *memory);
                slot.write_volatile(0);
                had = true;
            }
        }
    }
    had
}

/// The verifier shall not follow the rest of the program once for each way.
#[inline(always)]
fn memory_at(row: u32, way: usize) -> Option<*mut SocketMemory> {
    let way = opaque((way as u64).wrapping_add(nought())) as usize & (WAYS - 1);
    Some(NEAR_MEMORIES.get_ptr_mut(row)?.cast::<SocketMemory>().wrapping_add(way))
}

/// The row where a socket has its place if it is near.
#[inline(always)]
fn row_of(address: u64) -> Option<(u32, *mut u64)> {
    let row = high_bits(mixed(address)?, ROWS);
    Some((row, NEAR_ADDRESSES.get_ptr_mut(row)?.cast()))
}

/// What tells where a socket has its place in a table of the kernel side's own; `None` where there
/// are no such tables. Addresses of sockets differ in their middle bits; a multiplication (by 2^64
/// over the golden ratio: Knuth, The Art of Computer Programming, 6.4) spreads them to the high ones.
#[inline(always)]
pub fn mixed(address: u64) -> Option<u64> {
    if setting(Setting::Near) == 0 {
        return None;
    }
    Some(number(address).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// As many of the high bits as `rows`, a power of two, asks for.
#[inline(always)]
pub fn high_bits(mixed: u64, rows: u32) -> u32 {
    (mixed >> (64 - rows.trailing_zeros())) as u32
}

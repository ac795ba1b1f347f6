//! The memory of a socket: found, made, forgotten.
//!
//! It lies near or far, see [`crate::near`]; who asks need not know. A socket is only ever in one
//! of the two, because it is looked for in both before it gets a place, and the kernel lets one
//! CPU at a time act for it.

use tcptrace_common::counter::Counter;
use tcptrace_common::memory::SocketMemory;

use crate::maps::{SOCKETS, count};
use crate::near;
use crate::sock::Sock;
use crate::words::clear;

/// What a far memory begins with, in read-only memory: programs have 512 bytes of stack.
const EMPTY: &SocketMemory = &SocketMemory::EMPTY;

/// Whether any memory was ever far. No count of them: two CPUs that write it for each connection
/// would wait for one another.
#[unsafe(no_mangle)]
static mut FAR: u64 = 0;

/// What is remembered at this address, of whatever socket.
#[inline(always)]
pub fn find(sk: Sock) -> Option<&'static mut SocketMemory> {
    match near::find(sk.key()) {
        Some(memory) => Some(reference(memory)),
        None => find_far(sk),
    }
}

/// Whoever finds a memory may write to it.
#[inline(always)]
fn reference(memory: *mut SocketMemory) -> &'static mut SocketMemory {
    // SAFETY: a value of a map lives at least until this program returns. Another CPU may write to
    // it at the same time only while the socket is in no one's lock, which the kernel excludes for
    // transitions; the other fields are each written once.
    unsafe { &mut *memory }
}

/// The same where it is far: nobody looks there while nothing is.
#[inline(always)]
fn find_far(sk: Sock) -> Option<&'static mut SocketMemory> {
    if is_any_far() { SOCKETS.get_ptr_mut(sk.key()).map(reference) } else { None }
}

#[inline(always)]
fn is_any_far() -> bool {
    // SAFETY: a word in `.bss`, which other CPUs may write.
    unsafe { (&raw const FAR).read_volatile() != 0 }
}

/// A cookie of 0, here or there, is one not known yet and fits.
#[inline(always)]
fn checked(memory: &'static mut SocketMemory, cookie: u64) -> &'static mut SocketMemory {
    if memory.cookie != 0 && cookie != 0 && memory.cookie != cookie {
        count(Counter::MemoryStale);
        clear(memory);
    }
    if cookie != 0 {
        memory.cookie = cookie;
    }
    memory
}

/// Starts an empty memory, over whatever was remembered at that address.
#[inline(always)]
pub fn begin(sk: Sock) -> Option<&'static mut SocketMemory> {
    match find(sk) {
        Some(memory) => {
            clear(memory);
            Some(memory)
        }
        None => make(sk),
    }
}

/// What is remembered of the socket with this cookie; starts an empty memory where there is none. A
/// memory with another cookie belongs to an earlier socket at the same address whose end was
/// missed: it is counted and cleared.
#[inline(always)]
pub fn recall_or_begin(sk: Sock, cookie: u64) -> Option<&'static mut SocketMemory> {
    let memory = match find(sk) {
        Some(memory) => memory,
        None => make(sk)?,
    };
    Some(checked(memory, cookie))
}

/// An empty memory for a socket that has none.
#[inline(always)]
fn make(sk: Sock) -> Option<&'static mut SocketMemory> {
    match near::take(sk.key()) {
        Some(memory) => Some(reference(memory)),
        None => begin_far(sk),
    }
}

#[inline(always)]
fn begin_far(sk: Sock) -> Option<&'static mut SocketMemory> {
    if SOCKETS.insert(sk.key(), EMPTY, 0).is_err() {
        count(Counter::MemoryFull);
        return None;
    }
    // SAFETY: a word in `.bss`; all who write it write the same.
    unsafe {
        if (&raw const FAR).read_volatile() == 0 {
            (&raw mut FAR).write_volatile(1);
        }
    }
    SOCKETS.get_ptr_mut(sk.key()).map(reference)
}

/// Forgets a socket. An error says that nothing was remembered, which is no loss.
#[inline(always)]
pub fn forget(sk: Sock) {
    if !near::give_back(sk.key()) && is_any_far() {
        let _ = SOCKETS.remove(sk.key());
    }
}

//! The memory of a socket: found, made, forgotten.

use aya_ebpf::bindings::BPF_NOEXIST;
use tcptrace_common::counter::Counter;
use tcptrace_common::memory::SocketMemory;

use crate::maps::{SOCKETS, count};
use crate::sock::Sock;

/// What is remembered of the socket with this cookie. A memory with another cookie belongs to an
/// earlier socket at the same address whose end was missed: it is counted and cleared.
/// A cookie of 0, here or there, is one not known yet and fits.
#[inline(always)]
pub fn recall(sk: Sock, cookie: u64) -> Option<&'static mut SocketMemory> {
    let memory = SOCKETS.get_ptr_mut(sk.key())?;
    // SAFETY: a value of the map lives at least until this program returns. Another CPU may
    // write to it at the same time only while the socket is in no one's lock, which the kernel
    // excludes for transitions; the other fields are each written once.
    let memory = unsafe { &mut *memory };
    if memory.cookie != 0 && cookie != 0 && memory.cookie != cookie {
        count(Counter::MemoryStale);
        *memory = SocketMemory::EMPTY;
    }
    if cookie != 0 {
        memory.cookie = cookie;
    }
    Some(memory)
}

/// What a memory begins with, in read-only memory: programs have 512 bytes of stack.
const EMPTY: &SocketMemory = &SocketMemory::EMPTY;

/// Starts an empty memory, over whatever was remembered at that address.
#[inline(always)]
pub fn begin(sk: Sock) -> Option<&'static mut SocketMemory> {
    begin_with(sk, EMPTY)
}

/// As [`begin`], with what is known.
#[inline(always)]
pub fn begin_with(sk: Sock, memory: &SocketMemory) -> Option<&'static mut SocketMemory> {
    if SOCKETS.insert(sk.key(), memory, 0).is_err() {
        count(Counter::MemoryFull);
        return None;
    }
    // SAFETY: as in `recall`.
    SOCKETS.get_ptr_mut(sk.key()).map(|memory| unsafe { &mut *memory })
}

/// As [`recall`], and starts an empty memory where there is none. Another CPU may do so at the
/// same moment; then the first one stays.
#[inline(always)]
pub fn recall_or_begin(sk: Sock, cookie: u64) -> Option<&'static mut SocketMemory> {
    match recall(sk, cookie) {
        Some(memory) => Some(memory),
        None => {
            let _ = SOCKETS.insert(sk.key(), EMPTY, u64::from(BPF_NOEXIST));
            let memory = recall(sk, cookie);
            if memory.is_none() {
                count(Counter::MemoryFull);
            }
            memory
        }
    }
}

/// Forgets a socket.
#[inline(always)]
pub fn forget(sk: Sock) {
    // An error says that nothing was remembered, which is no loss.
    let _ = SOCKETS.remove(sk.key());
}

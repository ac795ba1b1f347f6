//! The TCP sockets of one network namespace: that in which the iterator is opened.
//!
//! Kernel contract (seen on 5.10, 6.1, 6.12, 6.18, 7.3): shows every hashed socket, with or without
//! a process, children in accept queues and listeners included; not sockets in CLOSE. May also
//! show request and TIME_WAIT mini-sockets, of which only `struct sock_common` may be read.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_loop;
use tcptrace_common::counter::Counter;
use tcptrace_common::row::{RowHeader, SocketRow, kind};
use tcptrace_common::tcp::state;

use crate::iters::{Arguments, Output, remembered, socket_length};
use crate::maps::{SCRATCH, WAITING, count};
use crate::sock::{AcceptQueue, Sock};

/// Most children of one listener that are walked: the largest accept queue there can be
/// (`somaxconn` is 16 bits wide in the listener).
const QUEUE_WALK: u32 = 1 << 16;

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
extern "C" fn tcptrace_iter_tcp(ctx: *const *const c_void) -> i32 {
    let arguments = Arguments(ctx);
    // SAFETY: `struct bpf_iter__tcp` is (meta, sk_common, uid).
    let sk = unsafe { arguments.get(1) };
    if !sk.is_null() {
        show(arguments.meta().output(), Sock::new(sk));
    }
    0
}

#[inline(always)]
fn show(output: Output, sk: Sock) -> Option<()> {
    let state = sk.state();
    if !matches!(state, state::CLOSE_WAIT | state::LISTEN) {
        return None;
    }
    let scratch = SCRATCH.get_ptr_mut(0)?;
    // SAFETY: this CPU's own slot; iterators of one tool run one at a time, and user space reads
    // rows only.
    let scratch = unsafe { &mut *scratch };
    sk.describe(&mut scratch.socket);
    // SAFETY: the iterator's argument.
    scratch.socket.cookie = unsafe { sk.cookie() };
    if scratch.socket.inode == 0 {
        scratch.socket.listener = listener_of(sk);
    }
    let memory = remembered(sk, &mut scratch.socket);
    scratch.header = RowHeader { kind: kind::SOCKET, length: socket_length(memory) };
    output.write(&scratch.header)?;
    output.write::<SocketRow>(&scratch.socket)?;
    if let Some(memory) = memory {
        output.write(memory)?;
    }
    if state == state::LISTEN && scratch.socket.backlog > 0 {
        note_queue(sk);
    }
    Some(())
}

/// The listener in whose queue a child was found a moment ago; 0 where it was not.
#[inline(always)]
fn listener_of(child: Sock) -> u64 {
    let Some(listener) = WAITING.get_ptr(child.key()) else { return 0 };
    // SAFETY: a value of the map lives at least until this program returns.
    unsafe { *listener }
}

/// Notes which children in CLOSE_WAIT wait in the queue of this very listener; with
/// `SO_REUSEPORT` the address does not tell. The kernel shows listeners before connections
/// (`tcp_seek_last_pos`), so the note is there when the child comes.
#[inline(always)]
fn note_queue(listener: Sock) {
    let mut walk = Walk { listener: listener.key(), queue: AcceptQueue::of(listener) };
    // SAFETY: the kernel calls back with a pointer to `walk` before the helper returns.
    unsafe { bpf_loop(QUEUE_WALK, note_child as *mut c_void, (&raw mut walk).cast::<c_void>(), 0) };
    if !walk.queue.is_done() {
        count(Counter::QueueCut);
    }
}

struct Walk {
    listener: u64,
    queue: AcceptQueue,
}

/// One step of [`note_queue`], called by the kernel: a loop in the program itself costs the
/// verifier a third of a second. Returns 1 to end the walk.
extern "C" fn note_child(_index: u32, walk: *mut Walk) -> i64 {
    // SAFETY: the pointer that `note_queue` gave.
    let walk = unsafe { &mut *walk };
    let Some(child) = walk.queue.next() else { return 1 };
    if child.state() == state::CLOSE_WAIT {
        // The map replaces its oldest entries, so this does not fail for want of room.
        let _ = WAITING.insert(child.key(), walk.listener, 0);
    }
    0
}

//! The TCP sockets of one network namespace: that in which the iterator is opened.
//!
//! Kernel contract (seen on 5.10, 6.1, 6.12, 6.18, 7.3): shows every hashed socket, with or without
//! a process, children in accept queues and listeners included; not sockets in CLOSE. May also
//! show request and TIME_WAIT mini-sockets, of which only `struct sock_common` may be read.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_loop;
use tcptrace_common::counter::Counter;
use tcptrace_common::row::{QueueRow, RowHeader, SocketRow, kind};
use tcptrace_common::tcp::state;

use crate::iters::{Arguments, Output, Scratch, remembered, socket_length};
use crate::maps::{SCRATCH, count};
use crate::sock::{AcceptQueue, Sock};

/// Most children of one listener that are walked: the largest accept queue there can be
/// (`somaxconn` is 16 bits wide in the listener).
const QUEUE_WALK: u32 = 1 << 16;

/// Most children that are shown in a row: their rows and the listener's own must fit into the
/// reader's buffer of eight pages.
const QUEUE_SHOWN: u32 = 1200;

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
extern "C" fn tcptrace_iter_tcp(ctx: *const *const c_void) -> i32 {
    let arguments = Arguments(ctx);
    // SAFETY: `struct bpf_iter__tcp` is (meta, sk_common, uid).
    let sk = unsafe { arguments.get(1) };
    if !sk.is_null() {
        show(arguments.output(), Sock::new(sk));
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
    let memory = remembered(sk, &mut scratch.socket);
    scratch.header = RowHeader { kind: kind::SOCKET, length: socket_length(memory) };
    output.write(&scratch.header)?;
    output.write::<SocketRow>(&scratch.socket)?;
    if let Some(memory) = memory {
        output.write(memory)?;
    }
    if state == state::LISTEN && scratch.socket.backlog > 0 {
        show_queue(output, sk, scratch);
    }
    Some(())
}

/// Shows which children in CLOSE_WAIT wait in the queue of this very listener; with
/// `SO_REUSEPORT` the address does not tell.
#[inline(always)]
fn show_queue(output: Output, listener: Sock, scratch: &mut Scratch) {
    scratch.shown = 0;
    let queue = AcceptQueue::of(listener);
    let mut walk = Walk { output, listener, queue, shown: &raw mut scratch.shown };
    // SAFETY: the kernel calls back with a pointer to `walk` before the helper returns.
    unsafe { bpf_loop(QUEUE_WALK, show_child as *mut c_void, (&raw mut walk).cast::<c_void>(), 0) };
    if !walk.queue.is_done() {
        count(Counter::QueueCut);
    }
}

struct Walk {
    output: Output,
    listener: Sock,
    queue: AcceptQueue,
    /// Kept in a map, whose values the verifier does not follow: a counter on the stack would
    /// make each step a new state to it.
    shown: *mut u32,
}

/// One step of [`show_queue`], called by the kernel: a loop in the program itself costs the
/// verifier a third of a second. Returns 1 to end the walk.
extern "C" fn show_child(_index: u32, walk: *mut Walk) -> i64 {
    // SAFETY: the pointer that `show_queue` gave.
    let walk = unsafe { &mut *walk };
    let Some(child) = walk.queue.next() else { return 1 };
    if child.state() != state::CLOSE_WAIT {
        return 0;
    }
    let row = Queued {
        header: RowHeader { kind: kind::QUEUED, length: size_of::<QueueRow>() as u32 },
        row: QueueRow { listener: walk.listener.key(), child: child.key() },
    };
    // SAFETY: the pointer leads into this CPU's own scratch slot.
    let shown = unsafe { &mut *walk.shown };
    *shown += 1;
    let written = walk.output.write(&row);
    i64::from(written.is_none() || *shown >= QUEUE_SHOWN)
}

#[repr(C)]
struct Queued {
    header: RowHeader,
    row: QueueRow,
}

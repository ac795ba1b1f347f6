//! The open descriptors of all tasks.
//!
//! Kernel contract (seen on 6.1, 6.12, 6.18, 7.3): shows every descriptor of every task in the
//! reader's pid namespace, sockets of all network namespaces and sockets in CLOSE included; tasks
//! that share a descriptor table are shown once, as their leader.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_sock_from_file;
use tcptrace_common::row::{HolderRow, RowHeader, SocketRow, kind};

use crate::iters::{Arguments, Meta, namespaces, remembered, socket_length};
use crate::maps::SCRATCH;
use crate::sock::Socket;
use crate::task::process_of;

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
extern "C" fn tcptrace_iter_file(ctx: *const *const c_void) -> i32 {
    let arguments = Arguments(ctx);
    // SAFETY: `struct bpf_iter__task_file` is (meta, task, fd, file), each in a 64-bit word.
    let (task, fd, file) = unsafe { (arguments.get(1), arguments.get(2), arguments.get(3)) };
    if !task.is_null() && !file.is_null() {
        namespaces::list(arguments.meta());
        show(arguments.meta(), task, fd as u32, file);
    }
    0
}

#[inline(always)]
fn show(meta: Meta, task: *const c_void, fd: u32, file: *const c_void) -> Option<()> {
    let output = meta.output();
    // SAFETY: the iterator's argument, not null.
    let socket = unsafe { bpf_sock_from_file(file.cast_mut().cast()) };
    if socket.is_null() {
        // SAFETY: the iterator's argument, not null.
        return unsafe { namespaces::hint_file(meta, task, fd, file) };
    }
    let socket = Socket::new(socket.cast::<c_void>().cast_const());
    // SAFETY: returned by a helper, so the verifier knows its type.
    let sk = unsafe { socket.typed_sock() }?;
    // A full buffer ends this run; the kernel runs the program again for the same descriptor.
    namespaces::hint_socket(meta, task, fd, sk.netns());
    sk.stream_protocol()?;
    if !sk.concerns_leaks(socket) {
        return None;
    }
    let scratch = SCRATCH.get_ptr_mut(0)?;
    // SAFETY: this CPU's own slot; iterators of one tool run one at a time.
    let scratch = unsafe { &mut *scratch };
    // SAFETY: the iterator's argument, not null.
    unsafe { process_of(task, &mut scratch.holder.task) }?;
    scratch.holder.fd = fd;
    sk.describe(&mut scratch.socket);
    // SAFETY: loaded from a typed pointer.
    scratch.socket.cookie = unsafe { sk.cookie() };
    let memory = remembered(sk, &mut scratch.socket);
    let length = size_of::<HolderRow>() as u32 + socket_length(memory);
    scratch.header = RowHeader { kind: kind::HOLDER, length };
    output.write(&scratch.header)?;
    output.write::<HolderRow>(&scratch.holder)?;
    output.write::<SocketRow>(&scratch.socket)?;
    if let Some(memory) = memory {
        output.write(memory)?;
    }
    Some(())
}

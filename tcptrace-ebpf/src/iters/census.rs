//! A census: every TCP socket, in a few words.
//!
//! Kernel contract (seen on 5.10, 6.1, 6.12, 6.18, 7.3): as in `tcp` and `task_file`. The socket
//! table also shows TIME_WAIT mini-sockets, which carry FIN_WAIT2 too for a socket that was closed,
//! and requests (`NEW_SYN_RECV`), which are half-open connections; each socket once. Of these only
//! `struct sock_common` may be read, and the substate. Sockets in CLOSE are in no table: those whose
//! connection is over show by their descriptors alone.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_ktime_get_ns, bpf_sock_from_file};
use tcptrace_common::census::{CensusMemory, CensusRow, census_flag};
use tcptrace_common::memory::Task;
use tcptrace_common::row::{HolderRow, RowHeader, kind};
use tcptrace_common::setting::Setting;
use tcptrace_common::tcp::{IPPROTO_MPTCP, state};

use crate::config::setting;
use crate::iters::{Arguments, Meta, Output, memory_of, namespaces};
use crate::mini::table;
use crate::sock::{Sock, Socket};
use crate::task::process_of;

/// The sockets of one network namespace: that in which the iterator is opened.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/tcp")]
extern "C" fn tcptrace_census_sockets(ctx: *const *const c_void) -> i32 {
    let arguments = Arguments(ctx);
    // SAFETY: `struct bpf_iter__tcp` is (meta, sk_common, uid).
    let sk = unsafe { arguments.get(1) };
    if !sk.is_null() {
        show_socket(arguments.meta().output(), Sock::new(sk));
    }
    0
}

/// Dead sockets, once for each descriptor.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
extern "C" fn tcptrace_census_dead(ctx: *const *const c_void) -> i32 {
    descriptor(Arguments(ctx), false);
    0
}

/// Every descriptor for a socket that is counted, with its process.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
extern "C" fn tcptrace_census_held(ctx: *const *const c_void) -> i32 {
    descriptor(Arguments(ctx), true);
    0
}

/// A row with its header, written in one piece.
#[repr(C)]
struct Counted {
    header: RowHeader,
    row: CensusRow,
}

/// The same behind the process that holds the socket.
#[repr(C)]
struct Held {
    header: RowHeader,
    holder: HolderRow,
    row: CensusRow,
}

#[inline(always)]
fn show_socket(output: Output, sk: Sock) -> Option<()> {
    let mut row = CensusRow::default();
    match sk.state() {
        state::TIME_WAIT => mini(sk, sk.substate(), &mut row),
        state::NEW_SYN_RECV => mini(sk, state::SYN_RECV, &mut row),
        other => {
            row.state = other;
            // SAFETY: the iterator's argument.
            row.cookie = unsafe { sk.cookie() };
            full(sk, &mut row);
        }
    }
    if !is_wanted(row.state) {
        return None;
    }
    let memory = remembered(sk, &mut row);
    let header = RowHeader { kind: kind::COUNTED, length: length(memory.is_some()) };
    output.write(&Counted { header, row })?;
    write_memory(output, memory)
}

/// A mini-socket has no `struct socket` and belongs to nobody.
#[inline(always)]
fn mini(sk: Sock, state: u8, row: &mut CensusRow) {
    row.state = state;
    row.cookie = sk.raw_cookie();
    row.flags = census_flag::MINI_SOCKET;
    row.netns = sk.netns();
    sk.mini_tuple(&mut row.tuple);
}

/// All of a full socket but state and cookie.
#[inline(always)]
fn full(sk: Sock, row: &mut CensusRow) {
    row.netns = sk.netns();
    sk.tuple(&mut row.tuple);
    row.inode = sk.inode();
    if !sk.is_orphan() {
        row.flags |= census_flag::HAS_SOCKET;
    }
    if sk.is_subflow() {
        row.flags |= census_flag::SUBFLOW;
    }
}

#[inline(always)]
fn descriptor(arguments: Arguments, holders: bool) {
    // SAFETY: `struct bpf_iter__task_file` is (meta, task, fd, file), each in a 64-bit word.
    let (task, fd, file) = unsafe { (arguments.get(1), arguments.get(2), arguments.get(3)) };
    if !task.is_null() && !file.is_null() {
        namespaces::list(arguments.meta());
        show_descriptor(arguments.meta(), task, fd as u32, file, holders);
    }
}

#[inline(always)]
fn show_descriptor(
    meta: Meta,
    task: *const c_void,
    fd: u32,
    file: *const c_void,
    holders: bool,
) -> Option<()> {
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
    // Most sockets go here, so this is asked first.
    let state = sk.state();
    let counts = if state == state::CLOSE { sk.is_dead(socket) } else { holders };
    if !counts || !is_wanted(state) {
        return None;
    }
    let mptcp = sk.stream_protocol()? == IPPROTO_MPTCP;
    let mut held = Held {
        header: RowHeader::default(),
        holder: HolderRow { fd, ..HolderRow::default() },
        row: CensusRow { state, ..CensusRow::default() },
    };
    // SAFETY: the iterator's argument, not null.
    unsafe { process_of(task, &mut held.holder.task) }?;
    // SAFETY: loaded from a typed pointer.
    held.row.cookie = unsafe { sk.cookie() };
    if mptcp {
        held.row.flags = census_flag::MPTCP | census_flag::HAS_SOCKET;
        held.row.inode = sk.inode();
        held.row.netns = sk.netns();
    } else {
        full(sk, &mut held.row);
    }
    let memory = remembered(sk, &mut held.row);
    let length = size_of::<HolderRow>() as u32 + length(memory.is_some());
    held.header = RowHeader { kind: kind::COUNTED_HOLDER, length };
    meta.output().write(&held)?;
    write_memory(meta.output(), memory)
}

/// Whether sockets in this state are counted.
#[inline(always)]
fn is_wanted(state: u8) -> bool {
    setting(Setting::CensusStates) & (1 << (state & 31)) != 0
}

/// What is remembered of the socket, where anybody asks, marked in the row.
#[inline(always)]
fn remembered(sk: Sock, row: &mut CensusRow) -> Option<CensusMemory> {
    if setting(Setting::CensusMemory) == 0 {
        return None;
    }
    let is_mini = row.flags & census_flag::MINI_SOCKET != 0;
    let memory = if is_mini { of_mini(sk, row.cookie) } else { of_full(sk, row.cookie) }?;
    row.flags |= census_flag::REMEMBERED;
    Some(memory)
}

#[inline(always)]
fn of_full(sk: Sock, cookie: u64) -> Option<CensusMemory> {
    let own = memory_of(sk, cookie)?;
    Some(now(own.since_ns, own.opener, [own.state, own.role, own.flags]))
}

#[inline(always)]
fn of_mini(sk: Sock, cookie: u64) -> Option<CensusMemory> {
    let own = table::find(sk.key(), cookie)?;
    Some(now(own.since_ns, own.opener, [own.state, own.role, own.flags]))
}

#[inline(always)]
fn now(since_ns: u64, opener: Task, [state, role, flags]: [u8; 3]) -> CensusMemory {
    // SAFETY: no preconditions.
    let now_ns = unsafe { bpf_ktime_get_ns() };
    CensusMemory { now_ns, since_ns, opener, state, role, flags, pad: [0; 5] }
}

#[inline(always)]
fn write_memory(output: Output, memory: Option<CensusMemory>) -> Option<()> {
    match memory {
        Some(memory) => output.write(&memory),
        None => Some(()),
    }
}

/// Length of a socket's part of a row.
#[inline(always)]
fn length(remembered: bool) -> u32 {
    let extra = if remembered { size_of::<CensusMemory>() } else { 0 };
    (size_of::<CensusRow>() + extra) as u32
}

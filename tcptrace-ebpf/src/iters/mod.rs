//! Iterators: what sockets and descriptors there are, now.

use core::ffi::c_void;

use aya_ebpf::bindings::seq_file;
use aya_ebpf::helpers::bpf_seq_write;
use tcptrace_common::memory::SocketMemory;
use tcptrace_common::row::{HolderRow, RowHeader, SocketRow, row_flag};

use crate::memory;
use crate::sock::Sock;

mod census;
mod namespaces;
mod observer;
mod task_file;
mod tcp;

/// Room for one row.
#[repr(C)]
pub struct Scratch {
    header: RowHeader,
    holder: HolderRow,
    socket: SocketRow,
}

/// Where the iterator's output goes.
#[derive(Clone, Copy)]
struct Output(*mut seq_file);

/// The arguments of an iterator program: an array of 64-bit words, `meta` first.
#[derive(Clone, Copy)]
struct Arguments(*const *const c_void);

impl Arguments {
    /// # Safety
    ///
    /// `index` is that of an argument of this iterator.
    #[inline(always)]
    unsafe fn get(self, index: usize) -> *const c_void {
        // SAFETY: promised by the caller, checked by the verifier.
        unsafe { self.0.add(index).read_volatile() }
    }

    #[inline(always)]
    fn meta(self) -> Meta {
        // SAFETY: every iterator has it, and it is never null.
        unsafe { Meta(self.get(0).cast::<u64>()) }
    }
}

/// The first argument of every iterator: `struct bpf_iter_meta` of three 64-bit words, UAPI in all
/// but name since 5.8.
#[derive(Clone, Copy)]
struct Meta(*const u64);

impl Meta {
    /// `seq`: where the rows go.
    #[inline(always)]
    fn output(self) -> Output {
        // SAFETY: the first word of `meta`, a pointer to the verifier too.
        unsafe { Output(self.0.cast::<*mut seq_file>().read_volatile()) }
    }

    /// `session_id`: another one for each run of an iterator.
    #[inline(always)]
    fn run(self) -> u64 {
        // SAFETY: the second word of `meta`.
        unsafe { self.0.add(1).read_volatile() }
    }

    /// `seq_num`: how many objects this run has shown before this one.
    #[inline(always)]
    fn number(self) -> u64 {
        // SAFETY: the third word of `meta`.
        unsafe { self.0.add(2).read_volatile() }
    }
}

impl Output {
    /// Writes bytes; `None` when the reader's buffer is full. Then the kernel throws away what
    /// this run wrote and runs the program again for the same object.
    #[inline(always)]
    fn write<T>(self, value: &T) -> Option<()> {
        let bytes = core::ptr::from_ref(value).cast::<c_void>();
        // SAFETY: `seq` is the iterator's own, and the value is readable for its size.
        let status = unsafe { bpf_seq_write(self.0, bytes, size_of::<T>() as u32) };
        (status == 0).then_some(())
    }
}

/// What is remembered of the socket that `row` describes, marked in the row.
#[inline(always)]
fn remembered(sk: Sock, row: &mut SocketRow) -> Option<&'static SocketMemory> {
    let memory = memory_of(sk, row.cookie)?;
    row.flags |= row_flag::REMEMBERED;
    Some(memory)
}

/// What is remembered of the socket with this cookie.
#[inline(always)]
fn memory_of(sk: Sock, cookie: u64) -> Option<&'static SocketMemory> {
    let memory = memory::find(sk)?;
    // Hooks may write to it meanwhile: user space compares the cookie once more in its copy.
    if memory.cookie == 0 {
        // Begun by a hook that could not ask for the cookie: nothing but births and accepts.
        memory.cookie = cookie;
    }
    if memory.cookie == cookie { Some(memory) } else { None }
}

/// Length of a socket's part of a row.
#[inline(always)]
fn socket_length(memory: Option<&SocketMemory>) -> u32 {
    let extra = if memory.is_some() { size_of::<SocketMemory>() } else { 0 };
    (size_of::<SocketRow>() + extra) as u32
}

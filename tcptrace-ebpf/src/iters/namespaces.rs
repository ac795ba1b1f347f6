//! Network namespaces: which there are, and descriptors that lead into them.
//!
//! Kernel contract (seen on 6.1, 6.12, 6.18): all network namespaces are in one ring of
//! `net->list`, whose head lies in no namespace; user space has no other way to learn of one that
//! no process is in and that is mounted nowhere.

use core::ffi::c_void;

use aya_ebpf::helpers::bpf_loop;
use tcptrace_common::field::Field;
use tcptrace_common::row::{NamespaceRow, RowHeader, kind, namespace_way};

use crate::config::{address, has, load, read, read_pointer};
use crate::iters::{Meta, Output};
use crate::maps::HINTED;
use crate::task::{current_net, pid_of};

/// Namespaces of the list that go with one descriptor: together they fit into the reader's
/// buffer of eight pages.
const BATCH: u64 = 256;
/// Most namespaces that are looked at.
const MOST: u64 = 1 << 16;

/// `NSFS_MAGIC` (`include/uapi/linux/magic.h`).
const NAMESPACE_FILES: u64 = 0x6e73_6673;

/// Shows a part of the list: that which falls to the object with this number.
#[inline(always)]
pub fn list(meta: Meta) {
    let from = meta.number().wrapping_mul(BATCH);
    if from >= MOST || !has(Field::NetList) {
        return;
    }
    let Some(first) = current_net() else { return };
    let Some(kind) = read::<u64>(first, Field::NetOps) else { return };
    let mut walk = Walk { output: meta.output(), first, net: first, kind, index: 0, from };
    // SAFETY: the kernel calls back with a pointer to `walk` before the helper returns.
    unsafe {
        bpf_loop(
            (from + BATCH) as u32,
            show_next as *mut c_void,
            (&raw mut walk).cast::<c_void>(),
            0,
        )
    };
}

/// A walk through the list.
struct Walk {
    output: Output,
    first: *const c_void,
    net: *const c_void,
    /// `netns_operations`: the head of the list does not have it.
    kind: u64,
    index: u64,
    from: u64,
}

/// One step of [`list`], called by the kernel. Returns 1 to end the walk.
extern "C" fn show_next(_index: u32, walk: *mut Walk) -> i64 {
    // SAFETY: the pointer that `list` gave.
    let walk = unsafe { &mut *walk };
    let net = walk.net;
    if walk.index >= walk.from && is_alive(net, walk.kind) {
        let row = NamespaceRow {
            id: read(net, Field::NetId).unwrap_or_default(),
            netns: read(net, Field::NetInum).unwrap_or_default(),
            way: namespace_way::LISTED,
            ..NamespaceRow::default()
        };
        if write(walk.output, &row).is_none() {
            return 1;
        }
    }
    walk.index += 1;
    let Some(next) = read_pointer(net, Field::NetList) else { return 1 };
    walk.net = next.wrapping_sub(address(core::ptr::null(), Field::NetList) as usize);
    i64::from(walk.net == walk.first)
}

/// Whether this is a namespace and not the head of the list, and not about to leave it: where
/// nothing refers to it any more, the kernel has yet to clear it away, and nobody can enter.
#[inline(always)]
fn is_alive(net: *const c_void, kind: u64) -> bool {
    // Each read is decided on at once: of an answer that is kept, the compiler looks at the number
    // before it asks whether there is one, and the verifiers of 6.1 and 6.12 refuse that.
    if read::<u64>(net, Field::NetOps) != Some(kind) {
        return false;
    }
    if has(Field::NetReferences) {
        return read::<u32>(net, Field::NetReferences) != Some(0);
    }
    read::<u32>(net, Field::NetCount) != Some(0)
}

/// Shows a descriptor for a socket, unless this run has shown a way into its namespace.
#[inline(always)]
pub fn hint_socket(meta: Meta, task: *const c_void, fd: u32, netns: u32) -> Option<()> {
    hint(
        meta,
        task,
        fd,
        NamespaceRow { netns, way: namespace_way::SOCKET, ..NamespaceRow::default() },
    )
}

/// As [`hint_socket`], for a descriptor that is no socket.
///
/// # Safety
///
/// The verifier knows `file` as a `struct file`.
#[inline(always)]
pub unsafe fn hint_file(
    meta: Meta,
    task: *const c_void,
    fd: u32,
    file: *const c_void,
) -> Option<()> {
    if !has(Field::InodeSuper) || !has(Field::SuperMagic) || !has(Field::InodeNumber) {
        return None;
    }
    // SAFETY: promised by the caller; each pointer is loaded from a typed one, and the kernel
    // answers a load through a bad one with 0.
    let (inode, magic) = unsafe {
        let inode = load::<*const c_void>(file, Field::FileInode);
        let files = load::<*const c_void>(inode, Field::InodeSuper);
        (inode, load::<u64>(files, Field::SuperMagic))
    };
    if magic != NAMESPACE_FILES {
        return None;
    }
    // SAFETY: as above.
    let netns = unsafe { load::<u64>(inode, Field::InodeNumber) } as u32;
    hint(
        meta,
        task,
        fd,
        NamespaceRow { netns, way: namespace_way::FILE, ..NamespaceRow::default() },
    )
}

#[inline(always)]
fn hint(meta: Meta, task: *const c_void, fd: u32, row: NamespaceRow) -> Option<()> {
    let run = meta.run();
    // SAFETY: a value of the map lives at least until this program returns.
    let last = HINTED.get_ptr(row.netns).map_or(0, |run| unsafe { *run });
    if last == run {
        return None;
    }
    let pid = pid_of(task)?;
    write(meta.output(), &NamespaceRow { pid, fd, ..row })?;
    // The map replaces its oldest entries, so this does not fail for want of room.
    HINTED.insert(row.netns, run, 0).ok()
}

#[inline(always)]
fn write(output: Output, row: &NamespaceRow) -> Option<()> {
    let header = RowHeader { kind: kind::NAMESPACE, length: size_of::<NamespaceRow>() as u32 };
    output.write(&header)?;
    output.write(row)
}

//! The only reader of `struct task_struct` and its files.

use core::ffi::c_void;

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid, bpf_get_current_task_btf, bpf_probe_read_kernel, bpf_task_pt_regs,
};
use tcptrace_common::field::Field;
use tcptrace_common::memory::Task;
use tcptrace_common::setting::Setting;
use tcptrace_common::stack::program_id;
use tcptrace_common::unwind::Frame;

use crate::config::{address, has, load, load_part, read, read_pointer, setting};
use crate::maps::OBSERVER;
use crate::sock::{Sock, Socket};
use crate::words::bytes;

/// `PF_KTHREAD` (`include/linux/sched.h`).
const KERNEL_THREAD: u32 = 0x0020_0000;
/// `PF_KTHREAD`, `PF_IO_WORKER`, `PF_USER_WORKER`: tasks without a stack in user space.
const NO_USER_STACK: u32 = KERNEL_THREAD | 0x10 | 0x4000;
/// `__USER_CS` (`arch/x86/include/asm/segment.h`): the code segment of 64-bit programs.
const USER_CODE_64: u16 = 0x33;
/// `PSR_MODE32_BIT` (`arch/arm64/include/uapi/asm/ptrace.h`): a 32-bit program.
const ARM_32_BIT: u64 = 0x10;
/// `S_IFMT`, `S_IFSOCK` (`include/uapi/linux/stat.h`).
const FILE_TYPE: u16 = 0o170_000;
const SOCKET_FILE: u16 = 0o140_000;
/// Size of `struct upid`: a number and a pointer.
const UPID_SIZE: u64 = 16;

/// The process that runs now. Only where the kernel calls the hook in the context of the task
/// that acts; `None` for a kernel thread.
#[inline(always)]
pub fn current_process(task: &mut Task) -> Option<()> {
    // SAFETY: the verifier knows the current task.
    unsafe { process_of(current(), task) }
}

#[inline(always)]
fn current() -> *const c_void {
    // SAFETY: no preconditions; always a valid task.
    unsafe { bpf_get_current_task_btf() }.cast::<c_void>().cast_const()
}

/// Who a task is: its process, with the name and start of the thread-group leader. `None` for a
/// kernel thread and for a process that the tool's pid namespace does not show.
///
/// # Safety
///
/// The verifier knows `task` as a `struct task_struct`, and it is not null.
#[inline(always)]
pub unsafe fn process_of(task: *const c_void, out: &mut Task) -> Option<()> {
    // SAFETY: promised by the caller; the leader is loaded from a typed pointer.
    let (flags, leader) = unsafe {
        (load::<u32>(task, Field::TaskFlags), load::<*const c_void>(task, Field::GroupLeader))
    };
    if flags & KERNEL_THREAD != 0 || leader.is_null() {
        return None;
    }
    // SAFETY: as above; `comm` has 16 bytes (`TASK_COMM_LEN`).
    let words: [u64; 2] = unsafe {
        out.start_ns = load(leader, Field::StartBoottime);
        [load_part(leader, Field::Comm, 0), load_part(leader, Field::Comm, 8)]
    };
    out.comm = bytes(words);
    if setting(Setting::TranslatePids) == 0 {
        // SAFETY: as above.
        (out.pid, out.tid) = unsafe { (load(task, Field::Tgid), load(task, Field::Tid)) };
    } else {
        out.pid = translated_pid(leader)?;
        out.tid = translated_pid(task)?;
    }
    Some(())
}

/// The pid of a task's process, as the tool knows it.
#[inline(always)]
pub fn pid_of(task: *const c_void) -> Option<u32> {
    if setting(Setting::TranslatePids) == 0 {
        read(task, Field::Tgid)
    } else {
        translated_pid(read_pointer(task, Field::GroupLeader)?)
    }
}

/// The pid of the process that runs now, in the initial pid namespace.
#[inline(always)]
pub fn current_tgid() -> u32 {
    (bpf_get_current_pid_tgid() >> 32) as u32
}

/// Whether the thread that runs now is the one that `task` names.
#[inline(always)]
pub fn is_current(task: &Task) -> bool {
    let mut current = Task::default();
    current_process(&mut current).is_some()
        && (current.pid, current.tid, current.start_ns) == (task.pid, task.tid, task.start_ns)
}

/// Whether the current task has a stack in user space, and came from there into the kernel.
#[inline(always)]
pub fn has_user_stack() -> bool {
    // SAFETY: the verifier knows the current task.
    unsafe { load::<u32>(current(), Field::TaskFlags) & NO_USER_STACK == 0 }
}

/// Whether the current task uses io_uring, of which a request may go on in any system call.
#[inline(always)]
pub fn uses_uring() -> bool {
    // SAFETY: as above.
    has(Field::TaskUring) && unsafe { load::<u64>(current(), Field::TaskUring) } != 0
}

/// What the current task runs in user space, for a walk through its stack. `None` for tasks
/// without a user's stack (kernel threads, io_uring's workers), 32-bit programs, and on
/// architectures whose registers are not known here.
#[inline(always)]
pub fn user_registers() -> Option<Frame> {
    if !has_user_stack() {
        return None;
    }
    if has(Field::RegsPc) {
        x86_registers()
    } else if has(Field::ArmPc) {
        arm_registers()
    } else {
        None
    }
}

#[inline(always)]
fn x86_registers() -> Option<Frame> {
    let registers = saved_registers();
    if read::<u16>(registers, Field::RegsCs)? != USER_CODE_64 {
        return None;
    }
    // SAFETY: the verifier knows what the helper returned, which is never null.
    Some(unsafe {
        Frame {
            pc: load(registers, Field::RegsPc),
            sp: load(registers, Field::RegsSp),
            bp: load(registers, Field::RegsBp),
            link: 0,
            is_leaf: 1,
        }
    })
}

#[inline(always)]
fn arm_registers() -> Option<Frame> {
    let registers = saved_registers();
    if read::<u64>(registers, Field::ArmState)? & ARM_32_BIT != 0 {
        return None;
    }
    // SAFETY: the verifier knows what the helper returned, which is never null.
    Some(unsafe {
        Frame {
            pc: load(registers, Field::ArmPc),
            sp: load(registers, Field::RegsSp),
            bp: load_part(registers, Field::ArmRegs, 29 * size_of::<u64>()),
            link: load_part(registers, Field::ArmRegs, 30 * size_of::<u64>()),
            is_leaf: 1,
        }
    })
}

/// The registers with which the current task came into the kernel; what they say of a task that
/// has no stack in user space means nothing.
#[inline(always)]
pub fn saved_registers() -> *const c_void {
    // SAFETY: the current task is valid; every task has them.
    unsafe { bpf_task_pt_regs(bpf_get_current_task_btf()) as *const c_void }
}

/// Which program the current process runs; 0: not known.
#[inline(always)]
pub fn current_program() -> u64 {
    if !has(Field::Mm) || !has(Field::MmStartStack) || !has(Field::MmEndCode) {
        return 0;
    }
    // SAFETY: the verifier knows the current task and its memory; of a kernel thread, which has
    // none, the kernel answers the loads with 0.
    unsafe {
        let memory = load::<*const c_void>(current(), Field::Mm);
        program_id(load(memory, Field::MmStartStack), load(memory, Field::MmEndCode))
    }
}

/// Where the current thread's own storage lies in the user's memory; x86-64 alone.
#[inline(always)]
pub fn thread_base() -> Option<u64> {
    if !has(Field::FsBase) {
        return None;
    }
    // SAFETY: the verifier knows the current task.
    Some(unsafe { load(current(), Field::FsBase) })
}

/// The network namespace of the task that runs now.
#[inline(always)]
pub fn current_net() -> Option<*const c_void> {
    read_pointer(read_pointer(current(), Field::NsProxy)?, Field::NetNs)
}

/// The number of a task in the tool's own pid namespace.
#[inline(always)]
fn translated_pid(task: *const c_void) -> Option<u32> {
    let &[namespace, level] = OBSERVER.get(0)?;
    let pid = read_pointer(task, Field::ThreadPid)?;
    if u64::from(read::<u32>(pid, Field::PidLevel)?) < level {
        return None;
    }
    let upid = upid_at(pid, level);
    (read::<u64>(upid, Field::UpidNs)? == namespace).then(|| read(upid, Field::UpidNr))?
}

/// Remembers the pid namespace of the task that runs now, which reads an iterator: the tool.
#[inline(always)]
pub fn remember_observer() -> Option<()> {
    let pid = read_pointer(current(), Field::ThreadPid)?;
    let level = u64::from(read::<u32>(pid, Field::PidLevel)?);
    let namespace = read::<u64>(upid_at(pid, level), Field::UpidNs)?;
    OBSERVER.set(0, [namespace, level], 0).ok()
}

#[inline(always)]
fn upid_at(pid: *const c_void, level: u64) -> *const c_void {
    address(pid, Field::PidNumbers).wrapping_byte_add((level * UPID_SIZE) as usize)
}

/// The sock behind a descriptor of the task that runs now; `None` where that is no socket.
#[inline(always)]
pub fn sock_at(fd: u64) -> Option<Sock> {
    sock_of_file(file_at(fd)?)
}

/// The file behind a descriptor of the task that runs now.
#[inline(always)]
pub fn file_at(fd: u64) -> Option<*const c_void> {
    // SAFETY: the verifier knows the current task and what is loaded from it; of a task that has
    // no files any more the kernel answers the loads with 0.
    let (room, array) = unsafe {
        let table =
            load::<*const c_void>(load::<*const c_void>(current(), Field::Files), Field::Fdt);
        (load::<u32>(table, Field::FdtMax), load::<u64>(table, Field::FdtFd))
    };
    if fd >= u64::from(room) {
        return None;
    }
    let slot = (array + fd * 8) as *const *const c_void;
    // SAFETY: the helper checks the address and fails on a bad one.
    let file = unsafe { bpf_probe_read_kernel(slot) }.ok()?;
    (!file.is_null()).then_some(file)
}

/// The sock of a file that is a socket's, without a look at whether it is one.
#[inline(always)]
pub fn sock_of_socket_file(file: *const c_void) -> Option<Sock> {
    Socket::new(read_pointer(file, Field::FilePrivate)?).sock()
}

/// The sock behind a `struct file`; `None` where that is no socket.
#[inline(always)]
pub fn sock_of_file(file: *const c_void) -> Option<Sock> {
    let inode = read_pointer(file, Field::FileInode)?;
    if read::<u16>(inode, Field::InodeMode)? & FILE_TYPE != SOCKET_FILE {
        return None;
    }
    sock_of_socket_file(file)
}

/// The first argument of the system call that the current task is in; `None` on an architecture
/// whose registers are not known here.
#[inline(always)]
pub fn first_argument() -> Option<u64> {
    let field = if has(Field::RegsFirstArgument) {
        Field::RegsFirstArgument
    } else if has(Field::ArmFirstArgument) {
        Field::ArmFirstArgument
    } else {
        return None;
    };
    // SAFETY: the verifier knows what the helper returned, which is never null.
    Some(unsafe { load(saved_registers(), field) })
}

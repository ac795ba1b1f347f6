//! bpf(2) itself, for what aya has no words for.

use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use aya_obj::generated::{bpf_attr, bpf_attr__bindgen_ty_4, bpf_cmd, bpf_insn};

/// A program that does nothing: `r0 = 0; exit`.
pub const NOTHING: [u64; 2] = [0xb7, 0x95];

/// No attributes.
pub fn attributes() -> bpf_attr {
    // SAFETY: a union of integers, for which zeros are values.
    unsafe { std::mem::zeroed() }
}

/// Loads a program, in BPF's encoding (RFC 9669); `set` says of which kind.
pub fn load(program: &[u64], set: impl FnOnce(&mut bpf_attr__bindgen_ty_4)) -> io::Result<OwnedFd> {
    const { assert!(size_of::<bpf_insn>() == size_of::<u64>()) };
    let mut attr = attributes();
    // SAFETY: this member of the union is written and read as itself.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.insns = program.as_ptr() as u64;
    load.insn_cnt = program.len() as u32;
    load.license = c"GPL".as_ptr() as u64;
    set(load);
    new_descriptor(bpf_cmd::BPF_PROG_LOAD, &mut attr)
}

/// Attaches a program to the typed raw tracepoint, or the function, that it was loaded for; taken off
/// when what is returned is dropped.
pub fn attach_typed(program: &OwnedFd) -> io::Result<OwnedFd> {
    let mut attr = attributes();
    attr.raw_tracepoint.prog_fd = program.as_raw_fd() as u32;
    new_descriptor(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attr)
}

/// A command that returns a new descriptor.
pub fn new_descriptor(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<OwnedFd> {
    let fd = call(command, attr)?;
    // SAFETY: the command returns a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Any command; what it writes is in `attr`.
pub fn call(command: bpf_cmd, attr: &mut bpf_attr) -> io::Result<i32> {
    let size = size_of_val(attr);
    // SAFETY: `attr` and what it points to outlive the call, and the size is its size.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as i32) }
}

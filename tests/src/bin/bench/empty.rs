//! An empty program on the tracepoint: the floor, which nothing attached can beat.

use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};

use anyhow::{Context as _, Result};
use aya_obj::btf::{Btf, BtfKind};
use aya_obj::generated::{bpf_attach_type, bpf_attr, bpf_cmd, bpf_insn, bpf_prog_type};

/// `r0 = 0; exit` in BPF's encoding (RFC 9669).
const PROGRAM: [u64; 2] = [0xb7, 0x95];

/// Loaded and attached; gone when dropped.
pub struct Empty {
    _program: OwnedFd,
    _link: OwnedFd,
}

impl Empty {
    /// Attaches it as a typed raw tracepoint, as the tool attaches its own.
    pub fn attach() -> Result<Self> {
        let types = Btf::from_sys_fs().context("the kernel's types")?;
        let point =
            types.id_by_type_name_kind("btf_trace_inet_sock_set_state", BtfKind::Typedef)?;
        let program = load(point).context("load the empty program")?;
        let link = attach(&program).context("attach the empty program")?;
        Ok(Self { _program: program, _link: link })
    }
}

fn load(point: u32) -> io::Result<OwnedFd> {
    // SAFETY: a union of integers, for which zeros are values.
    let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
    const { assert!(size_of::<bpf_insn>() == size_of::<u64>()) };
    // SAFETY: this member of the union is written and read as itself.
    let load = unsafe { &mut attr.__bindgen_anon_3 };
    load.prog_type = bpf_prog_type::BPF_PROG_TYPE_TRACING as u32;
    load.expected_attach_type = bpf_attach_type::BPF_TRACE_RAW_TP as u32;
    load.attach_btf_id = point;
    load.insns = PROGRAM.as_ptr() as u64;
    load.insn_cnt = PROGRAM.len() as u32;
    load.license = c"GPL".as_ptr() as u64;
    bpf(bpf_cmd::BPF_PROG_LOAD, &attr)
}

fn attach(program: &OwnedFd) -> io::Result<OwnedFd> {
    use std::os::fd::AsRawFd as _;
    // SAFETY: a union of integers, for which zeros are values.
    let mut attr: bpf_attr = unsafe { std::mem::zeroed() };
    attr.raw_tracepoint.prog_fd = program.as_raw_fd() as u32;
    bpf(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &attr)
}

fn bpf(command: bpf_cmd, attr: &bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: `attr` and what it points to outlive the call, and the size is its size.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, command, attr, size_of_val(attr)) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both commands return a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

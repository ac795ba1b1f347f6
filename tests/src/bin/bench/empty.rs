//! An empty program on the tracepoint: the floor, which nothing attached can beat.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use anyhow::{Context as _, Result};
use aya_obj::btf::{Btf, BtfKind};
use aya_obj::generated::{bpf_attach_type, bpf_cmd, bpf_prog_type};
use tcptrace_tests::bpf_call;

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
    bpf_call::load(&PROGRAM, |load| {
        load.prog_type = bpf_prog_type::BPF_PROG_TYPE_TRACING as u32;
        load.expected_attach_type = bpf_attach_type::BPF_TRACE_RAW_TP as u32;
        load.attach_btf_id = point;
    })
}

fn attach(program: &OwnedFd) -> io::Result<OwnedFd> {
    let mut attr = bpf_call::attributes();
    attr.raw_tracepoint.prog_fd = program.as_raw_fd() as u32;
    bpf_call::new_descriptor(bpf_cmd::BPF_RAW_TRACEPOINT_OPEN, &mut attr)
}

//! An empty program on the tracepoint: the floor, which nothing attached can beat.

use std::io;
use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result};
use aya_obj::btf::{Btf, BtfKind};
use aya_obj::generated::{bpf_attach_type, bpf_prog_type};
use tcptrace_tests::bpf_call;

/// Loaded; gone when dropped.
pub struct Empty(OwnedFd);

impl Empty {
    /// Loads it as a typed raw tracepoint, as the tool loads its own.
    pub fn load() -> Result<Self> {
        let types = Btf::from_sys_fs().context("the kernel's types")?;
        let point =
            types.id_by_type_name_kind("btf_trace_inet_sock_set_state", BtfKind::Typedef)?;
        Ok(Self(load(point).context("load the empty program")?))
    }

    /// Attaches it; taken off when the link is dropped, which keeps the program.
    pub fn attach(&self) -> Result<OwnedFd> {
        bpf_call::attach_typed(&self.0).context("attach the empty program")
    }
}

fn load(point: u32) -> io::Result<OwnedFd> {
    bpf_call::load(&bpf_call::NOTHING, |load| {
        load.prog_type = bpf_prog_type::BPF_PROG_TYPE_TRACING as u32;
        load.expected_attach_type = bpf_attach_type::BPF_TRACE_RAW_TP as u32;
        load.attach_btf_id = point;
    })
}

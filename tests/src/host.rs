//! What this kernel has, asked of the kernel and not of the tool.

use std::fs;
use std::io;

use anyhow::{Context as _, Result};
use aya_obj::btf::{Btf, BtfKind};
use aya_obj::generated::{bpf_attach_type, bpf_prog_type};

use crate::bpf_call::{self, NOTHING};

/// Where the kernel describes its types.
const BTF: &str = "/sys/kernel/btf/vmlinux";

/// Whether there is a tracepoint of this name: the kernel's types have one for each.
///
/// # Errors
///
/// Where the kernel does not describe its types.
pub fn has_tracepoint(name: &str) -> Result<bool> {
    let types = fs::read(BTF).with_context(|| format!("read {BTF}"))?;
    let wanted = format!("\0btf_trace_{name}\0");
    Ok(types.windows(wanted.len()).any(|bytes| bytes == wanted.as_bytes()))
}

/// Whether the kernel lets its functions be hooked (fentry, fexit), and that tells something: an empty
/// program is attached to one for a moment.
///
/// # Errors
///
/// Where the kernel does not describe its types.
pub fn hooks_functions() -> Result<bool> {
    // clang may have put functions into others, so that their hooks are silent.
    if fs::read_to_string("/proc/version")?.contains("clang") {
        return Ok(false);
    }
    let types = Btf::from_sys_fs().context("the kernel's types")?;
    let function = types.id_by_type_name_kind("inet_csk_listen_start", BtfKind::Func)?;
    Ok(hook_function(function).is_ok())
}

fn hook_function(function: u32) -> io::Result<()> {
    let program = bpf_call::load(&NOTHING, |load| {
        load.prog_type = bpf_prog_type::BPF_PROG_TYPE_TRACING as u32;
        load.expected_attach_type = bpf_attach_type::BPF_TRACE_FENTRY as u32;
        load.attach_btf_id = function;
    })?;
    bpf_call::attach_typed(&program).map(drop)
}

/// Whether any network namespace can be opened by its number, though nothing leads to it: on 6.18 alone.
///
/// # Errors
///
/// Where the kernel does not say its version.
pub fn opens_any_namespace() -> Result<bool> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    let mut number = || numbers.next().context("a short release")?.context("not a release");
    Ok((number()?, number()?) == (6, 18))
}

/// Whether a read that returns 0 can be seen: before 6.3 the end of a function tells, where it can
/// be hooked.
///
/// # Errors
///
/// Where the kernel does not describe its types.
pub fn sees_eof() -> Result<bool> {
    Ok(has_tracepoint("sock_recv_length")? || hooks_functions()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_everywhere_and_one_that_is_not() {
        assert!(has_tracepoint("inet_sock_set_state").unwrap());
        assert!(!has_tracepoint("no_such_thing").unwrap());
    }
}

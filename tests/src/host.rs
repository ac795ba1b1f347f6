//! What this kernel has, asked of the kernel and not of the tool.

use std::fs;

use anyhow::{Context as _, Result};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_everywhere_and_one_that_is_not() {
        assert!(has_tracepoint("inet_sock_set_state").unwrap());
        assert!(!has_tracepoint("no_such_thing").unwrap());
    }
}

//! Tells the kernel side which pid namespace the tool is in.

use anyhow::{Context as _, Result};
use aya::programs::Iter;
use aya::{Btf, Ebpf};

use super::snapshot;

const PROGRAM: &str = "tcptrace_observer";

/// Lets the kernel side see the tool, so that the pids in records and rows are those that the tool
/// and its user know. To be done before any hook is attached: what comes earlier has no process.
///
/// # Errors
///
/// When the kernel refuses the program or it cannot be run.
pub(super) fn introduce(ebpf: &mut Ebpf, types: &Btf) -> Result<()> {
    let program: &mut Iter = ebpf.program_mut(PROGRAM).context("no program of it")?.try_into()?;
    program.load("task", types).context("the kernel refuses the program")?;
    let link = snapshot::link(ebpf, PROGRAM)?;
    snapshot::read(link, |_| Ok(()))
}

//! What the kernel says of its eBPF programs.

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result};
use aya::programs::loaded_programs;
use aya::sys::{Stats, enable_stats};
use tcptrace_tests::bpf::{self, Object};

/// Makes the kernel time its programs as long as this lives: `BPF_ENABLE_STATS`, which changes no
/// sysctl. The timing itself costs some 30 ns a run, which are in the figures.
pub fn time_programs() -> Result<OwnedFd> {
    enable_stats(Stats::RunTime).context("let the kernel time its programs (Linux 5.8)")
}

/// How often a program ran, and how long it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runs {
    /// The kernel's name of it, cut to 15 bytes.
    pub name: String,
    /// Runs.
    pub count: u64,
    /// All runs, ns.
    pub time_ns: u64,
}

/// The programs of a process that ran, the busiest first.
pub fn of_process(pid: u32) -> Result<Vec<Runs>> {
    let held = bpf::held_by(pid)?;
    let is_held = |id| held.contains(&Object::Program(id));
    let mut all = Vec::new();
    // One may vanish between being listed and being asked.
    for info in loaded_programs().flatten().filter(|info| is_held(info.id())) {
        let (count, time_ns) = (info.run_count(), info.run_time().as_nanos() as u64);
        if count > 0 {
            let name = info.name_as_str().unwrap_or("?").to_owned();
            all.push(Runs { name, count, time_ns });
        }
    }
    all.sort_by_key(|runs| std::cmp::Reverse(runs.time_ns));
    Ok(all)
}

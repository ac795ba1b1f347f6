//! What a process takes.

use std::fs;

use anyhow::{Context, Result};

use crate::bpf;

/// Memory of a process at one moment, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footprint {
    /// Resident, in user space.
    pub resident: u64,
    /// What the kernel charges for its maps.
    pub maps: u64,
}

impl Footprint {
    /// Of a process that runs.
    pub fn of(pid: u32) -> Result<Self> {
        Ok(Self { resident: resident(pid)?, maps: bpf::map_memory(pid)? })
    }
}

fn resident(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// CPU time of a process so far, ms, from the first field of `schedstat` of its threads.
pub fn cpu_ms(pid: u32) -> Result<f64> {
    let mut ns = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        let text = fs::read_to_string(thread.path().join("schedstat"))?;
        ns += text.split(' ').next().context("schedstat")?.parse::<u64>()?;
    }
    Ok(ns as f64 / 1e6)
}

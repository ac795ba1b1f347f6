//! The kernel side's counters.

use std::borrow::Cow;
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::PerCpuArray;
use aya::programs::Program;
use tcptrace_common::counter::Counter;

/// Token of the loss that the kernel itself counts: a program was not run because it was already
/// running on that CPU.
pub const RECURSION: &str = "recursion";

/// The second program for transitions, see [`super::nested`].
pub const SECOND: &str = "tcptrace_nested";

/// Counters at one moment.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    values: Vec<(Counter, u64)>,
    recursion: u64,
}

impl Counters {
    /// One counter.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.values.iter().find(|(own, _)| *own == counter).map_or(0, |(_, value)| *value)
    }

    /// Transitions that were seen, of sockets and of mini-sockets.
    #[must_use]
    pub fn transitions(&self) -> u64 {
        let seen = [Counter::Transitions, Counter::MiniTransitions, Counter::NestedTransitions];
        seen.into_iter().map(|counter| self.get(counter)).sum()
    }

    /// Everything that was lost: frozen token and count, zeros included.
    #[must_use]
    pub fn lost(&self) -> Vec<(&'static str, u64)> {
        let own = self.values.iter().filter(|(counter, _)| counter.is_loss());
        own.map(|(counter, value)| (counter.token(), *value))
            .chain([(RECURSION, self.recursion)])
            .collect()
    }

    /// The same as reports have it, which may also come from a recording.
    #[must_use]
    pub fn losses(&self) -> Vec<(Cow<'static, str>, u64)> {
        self.lost().into_iter().map(|(token, count)| (token.into(), count)).collect()
    }
}

/// Reads the counters of all CPUs.
///
/// # Errors
///
/// When the map cannot be read.
pub fn read(ebpf: &mut Ebpf) -> Result<Counters> {
    let map = ebpf.map("COUNTERS").context("no map COUNTERS")?;
    let map: PerCpuArray<_, u64> = map.try_into()?;
    let mut values = Vec::new();
    for counter in Counter::ALL {
        let slots = map.get(&(*counter as u32), 0).context("cannot read counters")?;
        values.push((*counter, slots.iter().sum()));
    }
    let counters = Counters { values, recursion: 0 };
    let mended = counters.get(Counter::NestedTransitions);
    let recursion = recursion_misses(ebpf).saturating_sub(mended);
    Ok(Counters { recursion, ..counters })
}

/// How often the kernel skipped one of the programs. Where the second program for transitions was
/// skipped the first one was run, or skipped too.
fn recursion_misses(ebpf: &Ebpf) -> u64 {
    let counted = ebpf.programs().filter(|(name, _)| *name != SECOND);
    counted.map(|(_, program)| misses(program)).sum()
}

/// How often the kernel skipped a program, from `/proc/self/fdinfo` (since 5.12); one that has no
/// such line has missed nothing that the kernel would tell.
pub fn misses(program: &Program) -> u64 {
    let line = || -> Option<u64> {
        let fd = program.fd().ok()?.as_fd().as_raw_fd();
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
        let line = info.lines().find_map(|line| line.strip_prefix("recursion_misses:"))?;
        line.trim().parse().ok()
    };
    line().unwrap_or_default()
}

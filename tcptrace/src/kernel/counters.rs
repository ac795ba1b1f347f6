//! The kernel side's counters, and what else is lost.

use std::borrow::Cow;
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _};

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::PerCpuArray;
use aya::programs::Program;
use tcptrace_common::counter::Counter;

use super::damage::{DAMAGED, Damage};

/// Token of the loss that the kernel itself counts: a program was not run because it was already
/// running on that CPU.
pub const RECURSION: &str = "recursion";

/// The first program for transitions.
pub const FIRST: &str = "tcptrace_set_state";
/// The second one, see [`super::nested`].
pub const SECOND: &str = "tcptrace_nested";

/// How often two numbers that grow are read until they fit.
const TRIES: usize = 4;

/// Counters at one moment.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    values: Vec<(Counter, u64)>,
    recursion: u64,
    damaged: u64,
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
            .chain([(RECURSION, self.recursion), (DAMAGED, self.damaged)])
            .collect()
    }

    /// The same as reports have it, which may also come from a recording.
    #[must_use]
    pub fn losses(&self) -> Vec<(Cow<'static, str>, u64)> {
        self.lost().into_iter().map(|(token, count)| (token.into(), count)).collect()
    }
}

/// Reads the counters of all CPUs; `damage` is what user space itself has counted.
///
/// # Errors
///
/// When the map cannot be read.
pub fn read(ebpf: &mut Ebpf, damage: &Damage) -> Result<Counters> {
    let map = ebpf.map("COUNTERS").context("no map COUNTERS")?;
    let map: PerCpuArray<_, u64> = map.try_into()?;
    let sum = |counter: Counter| -> Result<u64> {
        let slots = map.get(&(counter as u32), 0).context("cannot read counters")?;
        Ok(slots.iter().sum())
    };
    let values = Counter::ALL.iter().map(|counter| Ok((*counter, sum(*counter)?)));
    let values = values.collect::<Result<Vec<_>>>()?;
    let recursion = missed_transitions(ebpf, || sum(Counter::NestedTransitions))?;
    let recursion = recursion + missed_elsewhere(ebpf);
    Ok(Counters { values, recursion, damaged: damage.count() })
}

/// How often the kernel skipped the first program for transitions and the second one, which was run
/// so often, did not come in. They are read one after the other, so again until they fit.
fn missed_transitions(ebpf: &Ebpf, seen: impl Fn() -> Result<u64>) -> Result<u64> {
    let Some(first) = ebpf.program(FIRST) else { return Ok(0) };
    let mut before = seen()?;
    for _ in 0..TRIES {
        let missed = misses(first);
        let after = seen()?;
        if after == before {
            return Ok(missed.saturating_sub(after));
        }
        before = after;
    }
    // Rather less than what was never missed; the next look tells the rest.
    let missed = misses(first);
    Ok(missed.saturating_sub(seen()?))
}

/// How often the kernel skipped one of the other programs. Where it skipped the second one for
/// transitions, the first was run, or is counted.
fn missed_elsewhere(ebpf: &Ebpf) -> u64 {
    let counted = ebpf.programs().filter(|(name, _)| ![FIRST, SECOND].contains(name));
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

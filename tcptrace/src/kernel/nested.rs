//! The second program for transitions, which sees those that an interrupt makes in the midst of the
//! first.
//!
//! It is loaded with everything else and attached once the kernel says that it skipped the first:
//! most hosts never need it, and where it is attached each transition pays for another entry. To
//! attach a program that is loaded takes no capability since Linux 5.19.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::programs::BtfTracePoint;

use super::counters::{FIRST, misses};
use super::hooks::{Ground, NESTED};

/// How often the kernel is asked what it skipped.
const EVERY: Duration = Duration::from_secs(1);
/// Not any more.
const NEVER: Duration = Duration::from_secs(1 << 30);

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nested {
    /// There is nothing left to do: it is attached, or not wanted, or the kernel refused it, and what
    /// is missed stays counted.
    Settled,
    /// It is loaded; when the kernel was last asked.
    Waiting(Instant),
}

impl Nested {
    /// Loads it.
    #[must_use]
    pub fn load(ebpf: &mut Ebpf, ground: &Ground<'_>) -> Self {
        match load(ebpf, ground) {
            Ok(()) => Self::Waiting(Instant::now()),
            Err(error) => given_up(&error),
        }
    }

    /// Attaches it if the first one was skipped. Returns for how long nobody need ask again.
    pub fn tend(&mut self, ebpf: &mut Ebpf) -> Duration {
        let Self::Waiting(asked) = self else { return NEVER };
        let left = EVERY.saturating_sub(asked.elapsed());
        if !left.is_zero() {
            return left;
        }
        *self = if ebpf.program(FIRST).is_none_or(|first| misses(first) == 0) {
            Self::Waiting(Instant::now())
        } else if let Err(error) = attach(ebpf) {
            given_up(&error)
        } else {
            Self::Settled
        };
        EVERY
    }
}

fn given_up(error: &anyhow::Error) -> Nested {
    log::debug!("transitions in the midst of others stay unseen: {error:#}");
    Nested::Settled
}

fn load(ebpf: &mut Ebpf, ground: &Ground<'_>) -> Result<()> {
    NESTED.load(NESTED.program(ebpf)?, ground)
}

fn attach(ebpf: &mut Ebpf) -> Result<()> {
    let program: &mut BtfTracePoint = NESTED.program(ebpf)?.try_into()?;
    program.attach().context("cannot attach it")?;
    log::debug!("interrupts make transitions in the midst of others: they are seen from now on");
    Ok(())
}

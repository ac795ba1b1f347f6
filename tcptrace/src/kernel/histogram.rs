//! Counts of dwells that the kernel side keeps. They only grow and are never reset, so nothing is
//! lost between two readings; what happened in between is the difference.

use anyhow::{Context as _, Result};
use aya::maps::{HashMap, PerCpuArray};
use aya::{Ebpf, Pod};
use tcptrace_common::histogram::{KeyedSlot, STATES, StateHistogram};

use crate::lifecycle::dwell::dwells::Dwells;
use crate::lifecycle::dwell::key::By;
use crate::lifecycle::socket::State;

/// What the kernel side is to count.
#[derive(Clone, Copy, Debug)]
pub struct HistogramWish {
    /// States whose dwells count: bit `1 << number`.
    pub states: u64,
    /// What is told apart besides the state.
    pub by: By,
    /// Room for counts by state, key and bucket.
    pub key_buckets: u32,
}

/// A key of the ABI as aya wants it.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Plain(KeyedSlot);

// SAFETY: `Wire` promises integers and byte arrays without padding.
unsafe impl Pod for Plain {}

/// Reads all counts.
///
/// # Errors
///
/// When a map cannot be read.
pub fn read(ebpf: &Ebpf, by: By) -> Result<Dwells> {
    let mut dwells = Dwells::counted();
    // Those without a key come second: a dwell that is counted meanwhile is in one of the two.
    if by != By::State {
        read_keys(ebpf, by, &mut dwells).context("cannot read the counts by key")?;
    }
    read_states(ebpf, by, &mut dwells).context("cannot read the counts by state")?;
    Ok(dwells)
}

fn read_keys(ebpf: &Ebpf, by: By, dwells: &mut Dwells) -> Result<()> {
    let map = ebpf.map("KEY_HISTOGRAMS").context("no map KEY_HISTOGRAMS")?;
    let map: HashMap<_, Plain, u64> = map.try_into()?;
    for entry in map.iter() {
        let (Plain(slot), count) = entry?;
        if let Some(state) = State::from_kernel(slot.state) {
            dwells.add_slot(by.of_slot(&slot), state, slot.slot.into(), count);
        }
    }
    Ok(())
}

fn read_states(ebpf: &Ebpf, by: By, dwells: &mut Dwells) -> Result<()> {
    let map = ebpf.map("STATE_HISTOGRAMS").context("no map STATE_HISTOGRAMS")?;
    let map: PerCpuArray<_, StateHistogram> = map.try_into()?;
    for number in 0..STATES {
        let Some(state) = u8::try_from(number).ok().and_then(State::from_kernel) else { continue };
        for histogram in map.get(&number, 0)?.iter() {
            for (slot, count) in (0..).zip(histogram) {
                dwells.add_slot(by.without_key(), state, slot, *count);
            }
        }
    }
    Ok(())
}

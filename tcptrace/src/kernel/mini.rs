//! Ends of mini-sockets that the kernel side has noted and not told.

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::PerCpuArray;
use tcptrace_common::mini::MiniEnd;

use super::plain::Plain;

/// The last one of each CPU, as far as nothing has come after it. What was noted a moment ago may
/// still turn out to be no end.
///
/// # Errors
///
/// When the map cannot be read.
pub fn untold_ends(ebpf: &mut Ebpf) -> Result<Vec<MiniEnd>> {
    let map = ebpf.map("MINI_ENDS").context("no map MINI_ENDS")?;
    let map = PerCpuArray::<_, Plain<MiniEnd>>::try_from(map)?;
    let slots = map.get(&0, 0).context("cannot read the ends of mini-sockets")?;
    Ok(slots.iter().map(|end| end.0).filter(|end| end.sk != 0).collect())
}

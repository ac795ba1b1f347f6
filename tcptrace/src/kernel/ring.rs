//! The ring buffer as a source of transitions.

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::{MapData, RingBuf};
use tokio::io::unix::AsyncFd;

use super::damage::Damage;
use crate::lifecycle::event::{Event, Transition, decode};

/// Transitions, in the order in which the kernel side reserved their records.
pub struct Ring {
    records: AsyncFd<RingBuf<MapData>>,
    damage: Damage,
}

impl Ring {
    /// Takes the ring out of the loaded object.
    ///
    /// # Errors
    ///
    /// When it was taken already, or outside a tokio runtime.
    pub fn take(ebpf: &mut Ebpf, damage: Damage) -> Result<Self> {
        let map = ebpf.take_map("EVENTS").context("no map EVENTS")?;
        let ring = RingBuf::try_from(map).context("EVENTS is no ring buffer")?;
        // SAFETY: the ring owns its descriptor and returns the same one until it is dropped.
        let records = unsafe { AsyncFd::register(ring) }.context("cannot watch the ring buffer")?;
        Ok(Self { records, damage })
    }

    /// Waits until there is something to read.
    ///
    /// # Errors
    ///
    /// When the descriptor cannot be watched any more.
    pub async fn ready(&self) -> Result<()> {
        self.records.readable().await.context("cannot watch the ring buffer")?.clear_ready();
        Ok(())
    }

    /// At most `most` of the records that are there now, each decoded where it stands in the ring.
    /// Returns how many there were, those left out that cannot be understood: fewer than `most` when the
    /// ring is empty.
    pub fn take_up(&mut self, most: usize, mut each: impl FnMut(&Transition)) -> usize {
        let Self { records, damage } = self;
        let ring = records.get_mut();
        let mut taken = 0;
        while taken < most
            && let Some(record) = ring.next()
        {
            match decode(&mut &record[..]) {
                Ok(Event::Transition(transition)) => each(&transition),
                Err(error) => damage.note(&error),
            }
            taken += 1;
        }
        taken
    }

    /// Everything there is now.
    pub fn drain(&mut self, each: impl FnMut(&Transition)) {
        self.take_up(usize::MAX, each);
    }
}

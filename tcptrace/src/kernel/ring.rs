//! The ring buffer as a source of transitions.

use anyhow::{Context as _, Result, bail};
use aya::Ebpf;
use aya::maps::{Map, MapData, RingBuf};
use tcptrace_common::record::TransitionRecord;
use tokio::io::unix::AsyncFd;

use super::damage::Damage;
use crate::lifecycle::event::{Event, Transition, decode};

/// So many records are taken up before other things have their turn.
const SHARE: usize = 4096;

/// Transitions, in the order in which the kernel side reserved their records.
pub struct Ring {
    records: AsyncFd<RingBuf<MapData>>,
    damage: Damage,
    /// No more records than this fit into it.
    room: usize,
}

impl Ring {
    /// Takes the ring out of the loaded object.
    ///
    /// # Errors
    ///
    /// When it was taken already, or outside a tokio runtime.
    pub fn take(ebpf: &mut Ebpf, damage: Damage) -> Result<Self> {
        let map = ebpf.take_map("EVENTS").context("no map EVENTS")?;
        let room = room(&map)?;
        let ring = RingBuf::try_from(map)?;
        // SAFETY: the ring owns its descriptor and returns the same one until it is dropped.
        let records = unsafe { AsyncFd::register(ring) }.context("cannot watch the ring buffer")?;
        Ok(Self { records, damage, room })
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
        let Self { records, damage, .. } = self;
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

    /// Some of what is there now; says whether there may be more. Who waits for more then waits for ever:
    /// the kernel wakes only a reader that has caught up.
    pub fn take_some(&mut self, each: impl FnMut(&Transition)) -> bool {
        self.take_up(SHARE, each) == SHARE
    }

    /// Everything there is now. What comes meanwhile may be left for the next time: a reader that is
    /// slower than the kernel would never come back.
    pub fn drain(&mut self, each: impl FnMut(&Transition)) {
        self.take_up(self.room, each);
    }
}

/// How many records fit into a ring buffer, the shortest ones.
fn room(map: &Map) -> Result<usize> {
    let Map::RingBuf(data) = map else { bail!("EVENTS is no ring buffer") };
    let bytes = data.info().context("cannot ask for the size of the ring buffer")?.max_entries();
    Ok(usize::try_from(bytes)? / size_of::<TransitionRecord>())
}

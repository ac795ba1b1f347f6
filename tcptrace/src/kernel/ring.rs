//! The ring buffer as a source of records.

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::{MapData, RingBuf};
use bytes::Bytes;
use tokio::io::unix::AsyncFd;

/// Records, in the order in which the kernel side reserved them.
pub struct Ring(AsyncFd<RingBuf<MapData>>);

impl Ring {
    /// Takes the ring out of the loaded object.
    ///
    /// # Errors
    ///
    /// When it was taken already, or outside a tokio runtime.
    pub fn take(ebpf: &mut Ebpf) -> Result<Self> {
        let map = ebpf.take_map("EVENTS").context("no map EVENTS")?;
        let ring = RingBuf::try_from(map).context("EVENTS is no ring buffer")?;
        // SAFETY: the ring owns its descriptor and returns the same one until it is dropped.
        let ring = unsafe { AsyncFd::register(ring) }.context("cannot watch the ring buffer")?;
        Ok(Self(ring))
    }

    /// Waits until there is something to read.
    ///
    /// # Errors
    ///
    /// When the descriptor cannot be watched any more.
    pub async fn ready(&self) -> Result<()> {
        self.0.readable().await.context("cannot watch the ring buffer")?.clear_ready();
        Ok(())
    }

    /// At most `most` of the records that are there now, each as it stands in the ring, without a
    /// copy. Returns how many there were: fewer than `most` when the ring is empty.
    pub fn take_up(&mut self, most: usize, mut each: impl FnMut(&[u8])) -> usize {
        let ring = self.0.get_mut();
        let mut taken = 0;
        while taken < most
            && let Some(record) = ring.next()
        {
            each(&record);
            taken += 1;
        }
        taken
    }

    /// Everything there is now, each record as a buffer of its own.
    pub fn drain(&mut self, mut each: impl FnMut(Bytes)) {
        let ring = self.0.get_mut();
        while let Some(record) = ring.next() {
            each(Bytes::copy_from_slice(&record));
        }
    }
}

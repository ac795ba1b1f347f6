//! How much memory the kernel side may use.

/// A page: the smallest ring buffer there is, bytes.
pub const SMALLEST_RING: u32 = 4096;

/// How much memory the kernel side may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Size of the ring buffer, bytes: a power of two, a multiple of the page size.
    pub ring_bytes: u32,
    /// How many sockets are remembered at most, those apart that are near. Below
    /// [`tcptrace_common::memory::NEAR_SOCKETS`] none is near.
    pub sockets: u32,
}

impl Budget {
    /// How many sockets are remembered at most, unless the user says otherwise: 270 MB, should
    /// there ever be as many.
    pub const SOCKETS: u32 = 1 << 20;
}

impl Default for Budget {
    /// For what has no use for a ring.
    fn default() -> Self {
        Self { ring_bytes: SMALLEST_RING, sockets: Self::SOCKETS }
    }
}

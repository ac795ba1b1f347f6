//! Records that user space could not understand: a loss like any other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Token of this loss.
pub const DAMAGED: &str = "record_damaged";

/// How many there were. All clones count together.
#[derive(Clone, Debug, Default)]
pub struct Damage(Arc<AtomicU64>);

impl Damage {
    /// One more.
    pub fn note(&self, error: &anyhow::Error) {
        log::debug!("{error:#}; the record is left out");
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// So far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

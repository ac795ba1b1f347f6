//! When a command that follows the kernel ends: signals and `--duration`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::{emulate_default_handler, register};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::clock::monotonic_ns;
use super::plan::Until;

/// A second signal counts from so long after the first one, ns: `timeout -s INT` sends two at once,
/// to the program and to its group.
const TWICE_AFTER_NS: u64 = 200_000_000;

/// The first signal asks for a last report; where that cannot be written because nobody reads on,
/// a second one ends the program.
fn end_at_second_signal() -> Result<()> {
    let first = Arc::new(AtomicU64::new(0));
    for signal in [SIGINT, SIGTERM] {
        let first = Arc::clone(&first);
        let note = move || {
            let now = monotonic_ns();
            let before = first.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).err();
            if before.is_some_and(|before| now.saturating_sub(before) >= TWICE_AFTER_NS) {
                // Where that fails there is nothing else to do.
                let _ = emulate_default_handler(signal);
            }
        };
        // SAFETY: the handler reads a clock, exchanges an integer, and calls what signal-hook
        // declares to be safe in a handler.
        unsafe { register(signal, note) }.context("cannot watch for signals")?;
    }
    Ok(())
}

/// When to stop.
pub struct Stop {
    until: Until,
    deadline: Option<Instant>,
    interrupt: Signal,
    terminate: Signal,
    stopped: bool,
}

impl Stop {
    /// Watches for signals from now on.
    ///
    /// # Errors
    ///
    /// When signals cannot be watched.
    pub fn new(until: Until) -> Result<Self> {
        end_at_second_signal()?;
        Ok(Self {
            until,
            deadline: None,
            interrupt: signal(SignalKind::interrupt()).context("cannot watch for Ctrl-C")?,
            terminate: signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?,
            stopped: false,
        })
    }

    /// Lets `--duration` begin: with the trace, not with the loading of programs.
    pub fn count_from(&mut self, start: Instant) {
        self.deadline = self.until.elapsed().and_then(|duration| start.checked_add(duration));
    }

    /// Whether the report that was just made is the last one.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.until == Until::Once
            || self.stopped
            || self.deadline.is_some_and(|end| end <= Instant::now())
    }

    /// Waits until it is time.
    pub async fn wait(&mut self) {
        let far = || Instant::now() + Duration::from_secs(1 << 30);
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            () = sleep_until(self.deadline.unwrap_or_else(far)) => {}
        }
        self.stopped = true;
    }
}

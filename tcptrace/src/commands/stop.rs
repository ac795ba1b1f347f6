//! When a command that follows the kernel ends: signals and `--duration`.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context as _, Result};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep_until};

use super::plan::Until;

/// The first signal asks for a last report; where that cannot be written because nobody reads on,
/// the second one ends the program.
fn end_at_second_signal() -> Result<()> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register_conditional_default(signal, Arc::clone(&asked))
            .and_then(|_| flag::register(signal, Arc::clone(&asked)))
            .context("cannot watch for signals")?;
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
        if let Until::Elapsed(duration) = self.until {
            self.deadline = start.checked_add(duration);
        }
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

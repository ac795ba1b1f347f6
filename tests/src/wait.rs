//! Waiting for a condition with a deadline. Tests never sleep and hope.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// How long a test waits for anything before it fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

const PAUSE: Duration = Duration::from_millis(20);

/// Asks until the answer is there, or fails after [`DEADLINE`] naming `what`.
pub fn until<T>(what: &str, ask: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    until_within(DEADLINE, what, ask)
}

/// [`until`] with a deadline of its own.
pub fn until_within<T>(
    limit: Duration,
    what: &str,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if Instant::now() >= end {
            bail!("{what}: not within {limit:?}");
        }
        std::thread::sleep(PAUSE);
    }
}

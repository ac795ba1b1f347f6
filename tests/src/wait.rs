//! Waiting for a condition with a deadline. Tests never sleep and hope.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

static PATIENCE: LazyLock<u32> = LazyLock::new(|| {
    let said = std::env::var("TCPTRACE_PATIENCE").ok();
    said.and_then(|factor| factor.parse().ok()).unwrap_or(1)
});

/// How many times longer than elsewhere a test waits here: `$TCPTRACE_PATIENCE`, for a machine that
/// is emulated. It moves deadlines alone, so that a test which fails there is wrong and not slow.
pub fn patience() -> u32 {
    *PATIENCE
}

/// This deadline, as it is on this machine.
pub fn patiently(limit: Duration) -> Duration {
    limit * patience()
}

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
    let limit = patiently(limit);
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

//! `-v`: the log of the kernel side and of what loads it, on standard error.

use std::time::Duration;

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya_log::EbpfLogger;

/// How often the kernel side's messages are fetched.
const EVERY: Duration = Duration::from_millis(100);

/// Makes `log` write to standard error: errors and warnings of the libraries, with `-v` also what
/// the kernel side says, with `-vv` everything.
pub fn to_stderr(verbosity: u8) {
    let level = match verbosity {
        0 => log::LevelFilter::Off,
        1 => log::LevelFilter::Debug,
        _ => log::LevelFilter::Trace,
    };
    // An error says that a logger is there already, which serves as well.
    let _ = env_logger::Builder::new().filter_level(level).format_timestamp(None).try_init();
}

/// Fetches the kernel side's messages from now on, as long as the runtime lives.
///
/// # Errors
///
/// When the loaded object has no log.
pub fn follow_kernel(ebpf: &mut Ebpf) -> Result<()> {
    let mut logger = EbpfLogger::init(ebpf).context("cannot read the kernel side's log")?;
    tokio::spawn(async move {
        loop {
            logger.flush();
            tokio::time::sleep(EVERY).await;
        }
    });
    Ok(())
}

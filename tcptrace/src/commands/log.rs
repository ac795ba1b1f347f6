//! `-v`: the log of the kernel side and of what loads it, on standard error.

use std::time::Duration;

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya_log::EbpfLogger;

use crate::kernel::host::Host;
use crate::kernel::load::{Kernel, Wish};

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

/// Loads the kernel side, and follows its log where the wish asks for one.
///
/// # Errors
///
/// One sentence that says what this host lacks and what to do.
pub fn load(host: &Host, wish: &Wish) -> Result<Kernel> {
    let mut kernel = Kernel::start(host, wish)?;
    if wish.verbosity > 0 {
        follow_kernel(kernel.ebpf())?;
    }
    Ok(kernel)
}

/// Fetches the kernel side's messages from now on, as long as the runtime lives.
fn follow_kernel(ebpf: &mut Ebpf) -> Result<()> {
    let mut logger = EbpfLogger::init(ebpf).context("cannot read the kernel side's log")?;
    tokio::spawn(async move {
        loop {
            logger.flush();
            tokio::time::sleep(EVERY).await;
        }
    });
    Ok(())
}

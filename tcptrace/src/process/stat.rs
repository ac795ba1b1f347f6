//! Reading `/proc/PID/stat`.

use std::path::Path;

use super::read;
use crate::lifecycle::stat::{STAT_BYTES, Stat, TickLength};

/// Reads the file. `dir` is the process's directory in `/proc`.
pub fn read(dir: &Path) -> Option<Stat> {
    Stat::parse(&read::bytes(&dir.join("stat"), STAT_BYTES)?)
}

/// The clock tick of this kernel.
pub fn tick_length() -> TickLength {
    // SAFETY: sysconf reads a constant and takes no pointer.
    TickLength::of_rate(unsafe { libc::sysconf(libc::_SC_CLK_TCK) })
}

//! Room for what the kernel side remembers.

use clap::Args;

use super::value;
use crate::lifecycle::budget::Budget;

/// The option that says how many sockets are remembered.
#[derive(Debug, Args)]
pub struct RoomArgs {
    /// Most sockets that the kernel side remembers, some thousands more at times; of others age and
    /// opener stay unknown, and each is counted (memory_full)
    #[arg(long, default_value_t = Budget::SOCKETS, value_parser = value::map_entries)]
    #[arg(value_name = "N", hide_short_help = true)]
    max_sockets: u32,
}

impl RoomArgs {
    /// What it means beside a ring buffer of this size.
    pub fn budget(&self, ring_bytes: u32) -> Budget {
        Budget { ring_bytes, sockets: self.max_sockets }
    }
}

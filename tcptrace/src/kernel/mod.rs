//! The kernel: what is loaded into it, what it says, what it lacks.

pub mod btf;
pub mod counters;
pub mod hooks;
pub mod host;
pub mod load;
pub mod netns;
pub mod offsets;
pub mod ring;
pub mod snapshot;
pub mod stacks;
pub mod tracefs;

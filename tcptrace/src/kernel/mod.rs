//! The kernel: what is loaded into it, what it says, what it lacks.

pub mod btf;
pub mod census;
pub mod counters;
pub mod damage;
pub mod diag;
pub mod filter;
pub mod histogram;
pub mod hooks;
pub mod host;
pub mod load;
pub mod mini;
pub mod nested;
pub mod netns;
mod observer;
pub mod offsets;
mod plain;
pub mod privilege;
pub mod proc_net;
pub mod ring;
pub mod snapshot;
pub mod stacks;
pub mod symbols;
pub mod tracefs;

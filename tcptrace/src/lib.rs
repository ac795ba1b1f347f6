//! tcptrace: names every leaked TCP socket on a host, the process that holds it, and why.

pub mod cli;
pub mod commands;
pub mod doctor;
pub mod errand;
pub mod kernel;
pub mod lifecycle;
pub mod output;
pub mod process;
pub mod source;
pub mod stacks;

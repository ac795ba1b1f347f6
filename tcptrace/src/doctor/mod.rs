//! What is wrong on this host, on what evidence, what to change and what to leave alone. Pure: it
//! gets facts and reads nothing.

pub mod finding;
pub mod sysctl;

//! What is wrong on this host, on what evidence, what to change and what to leave alone. Pure: it
//! gets facts and reads nothing.

mod checks;
pub mod counters;
pub mod diagnosis;
pub mod facts;
pub mod finding;
pub mod ports;
pub mod sysctl;
pub mod tally;
pub mod topic;

pub use checks::examine;

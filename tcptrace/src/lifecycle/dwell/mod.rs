//! Dwell times: how long sockets stayed in each state, as histograms by state and key.

pub mod census;
pub mod dwells;
pub mod key;
pub mod population;
pub mod report;
pub mod selection;
pub mod stats;
pub mod tally;

#[cfg(test)]
mod tests;

//! The pure core: what the kernel said, turned into what is so and why.
//!
//! Nothing here reads a clock, a file, the environment or the kernel. Time comes inside the data,
//! stamped by the kernel; so every conclusion can be tested with made-up rows.

pub mod ability;
pub mod age;
pub mod budget;
pub mod by;
pub mod cause;
pub mod census;
pub mod details;
pub mod dwell;
pub mod end;
pub mod event;
pub mod filter;
pub mod group;
pub mod growth;
pub mod history;
pub mod jiffies;
pub mod late;
pub mod leak;
pub mod listener;
pub mod look;
pub mod losses;
pub mod machine;
pub mod names;
pub mod namespaces;
pub mod outlook;
pub mod pattern;
pub mod report;
pub mod rows;
pub mod socket;
pub mod stack;
pub mod stat;
pub mod stream;
pub mod text;
pub mod transition_filter;
pub mod untraced;
pub mod verdict;
pub mod weight;
pub mod wording;

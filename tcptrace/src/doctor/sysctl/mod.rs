//! The settings that pages about CLOSE_WAIT and TIME_WAIT name: what they really do, and whether
//! changing one would help with what was found here.

pub mod catalogue;
pub mod default;
pub mod file;
pub mod risk;
pub mod setting;
pub mod value;
pub mod verdict;

pub use catalogue::{all, find};
pub use default::KernelFacts;
pub use setting::Sysctl;
pub use verdict::{Verdict, Word, judge};

//! The settings that pages about CLOSE_WAIT and TIME_WAIT name: what they really do, and whether
//! changing one would help with what was found here.

pub mod catalogue;
pub mod default;
pub mod file;
pub mod risk;
pub mod value;
pub mod verdict;

pub use catalogue::{Sysctl, all, find};
pub use default::{KernelFacts, default_of};
pub use verdict::{Verdict, Word, judge};

//! User stacks: from what the kernel side sends to frames with names.

pub mod module;
pub mod python;
pub mod raw;

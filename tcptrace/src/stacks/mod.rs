//! User stacks: from what the kernel side sends to frames with names.
//!
//! [`receive::Stacks`] takes the records of the ring buffer `STACKS`. It knows the memory map of
//! each process ([`mappings`], [`image`]), opens the files that code comes from ([`open`],
//! [`elf`]), compiles unwind rules for single program counters ([`rules`]) and finishes the
//! stacks that the kernel side had no rules for ([`walk`]). [`symbols`] gives names to those that
//! are shown.

pub mod arch;
pub mod bytes;
pub mod calls;
pub mod elf;
pub mod expression;
mod file_id;
pub mod identity;
pub mod image;
pub mod interpreter;
pub mod java;
pub mod mappings;
pub mod memory;
pub mod module;
pub mod newcomers;
pub mod open;
pub mod perfmap;
pub mod python;
pub mod raw;
pub mod reason;
pub mod receive;
pub mod record;
pub mod rules;
pub mod symbols;
pub mod tables;
pub mod walk;

#[cfg(test)]
mod tests;

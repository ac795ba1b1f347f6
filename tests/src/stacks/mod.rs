//! Stacks of real programs, as gdb sees them and as the tool reports them.
//!
//! A [`target`] opens sockets in chosen call paths and keeps them. [`gdb`] says where each was
//! opened, [`reported`] reads what the tool says of the same socket, [`compare`] holds one against
//! the other, and a [`mod@bench`] does all that for one target.

pub mod bench;
pub mod build;
pub mod compare;
pub mod event;
pub mod gdb;
pub mod nginx;
pub mod peers;
pub mod program;
pub mod reported;
pub mod shape;
pub mod tables;
pub mod target;
pub mod ways;

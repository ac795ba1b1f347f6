//! Hooks, one file a family.

pub mod accept;
mod destroy;
mod eof;
pub mod follow;
mod graft;
mod image;
mod mini;
mod open;
mod set_state;
mod timer;
mod uring;

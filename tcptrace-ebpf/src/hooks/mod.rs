//! Hooks, one file a family.

pub mod accept;
mod destroy;
mod eof;
mod image;
mod open;
mod set_state;
mod uring;

//! Hooks, one file a family.

pub mod accept;
mod destroy;
mod eof;
mod set_state;
mod uring;

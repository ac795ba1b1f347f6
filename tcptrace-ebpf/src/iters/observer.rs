//! Who asks: the tool's own pid namespace, for the pids that it prints.
//!
//! User space reads this iterator once, before anything else is attached, where it is not in the
//! initial pid namespace. What the iterator walks does not matter; who reads it does.

use core::ffi::c_void;

use crate::task::remember_observer;

/// Runs for every task, in the context of the tool, and shows nothing.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn tcptrace_observer(_ctx: *const *const c_void) -> i32 {
    remember_observer();
    0
}

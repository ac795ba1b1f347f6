//! The kernel side of tcptrace.
//!
//! Hooks keep a small memory of each TCP socket and send a few records; iterators write out, on
//! demand, what sockets and descriptors there are, joined with those memories. Every program here
//! is short, runs in the context the kernel gives it, and never takes `current` of a softirq for
//! the owner of a socket.
#![no_std]
#![no_main]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

mod atomic;
mod call;
mod config;
mod emit;
mod filter;
mod histogram;
mod hooks;
mod iters;
mod maps;
mod memory;
mod mini;
mod near;
mod nested;
mod opaque;
mod sock;
mod stack;
mod task;
mod typed_sock;
mod words;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // Unreachable: the verifier refuses a program with a path to here that does not end.
    loop {}
}

/// Helpers such as `bpf_probe_read_kernel` are for programs under a licence that is compatible
/// with the GPL.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

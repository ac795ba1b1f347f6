//! The end of a socket.
//!
//! Kernel contract (seen on 5.10, 6.1, 6.12, 6.18, 7.3): `tcp_destroy_sock` fires once for every
//! TCP socket, listeners and never-accepted children included, after its transition to CLOSE; not
//! for request and TIME_WAIT mini-sockets.

use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;

use crate::memory::forget;
use crate::sock::Sock;

#[btf_tracepoint(function = "tcp_destroy_sock")]
fn tcptrace_destroy(ctx: BtfTracePointContext) -> i32 {
    forget(Sock::new(ctx.arg(0)));
    0
}

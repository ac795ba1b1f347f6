//! From a socket to the mini-socket that goes on with its connection.
//!
//! Kernel contract (`tcp_time_wait()`, `inet_twsk_hashdance_schedule()`; seen on 6.1, 6.18, 7.3): before the
//! socket enters CLOSE, out of FIN_WAIT2 or CLOSING, its mini-socket is in the kernel's table of
//! connections, in the same chain, with the socket's cookie: at the head of the chain, on newer kernels
//! where the socket was. Chains are short, the kernel itself goes through them for each packet.

use core::ffi::c_void;

use tcptrace_common::counter::Counter;
use tcptrace_common::field::Field;
use tcptrace_common::tcp::state;

use super::Mini;
use crate::config::{address, read};
use crate::maps::count;
use crate::opaque::{nought, number, opaque};
use crate::typed_sock::TypedSock;

/// How far the chain is followed.
const FAR: u64 = 64;

/// The mini-socket of a socket with this cookie, if it has one.
#[inline(always)]
pub fn of(sk: TypedSock, cookie: u64) -> Option<Mini> {
    let mut node: u64 = read_at(sk.chain())?;
    let mut found = 0;
    let mut step = opaque(nought());
    // The end of a chain is an odd number (`include/linux/list_nulls.h`).
    while step < FAR && node & 1 == 0 {
        let mini = Mini::at(node.wrapping_sub(offset()));
        if mini.sock().raw_cookie() == cookie && mini.sock().state() == state::TIME_WAIT {
            found = mini.key();
            break;
        }
        node = read_at(node)?;
        step += 1;
    }
    if step >= FAR {
        count(Counter::TransitionMissed);
    }
    // The verifier shall not follow the rest of the program once for each step.
    let found = opaque(found.wrapping_add(nought()));
    (found != 0).then(|| Mini::at(found))
}

/// Where in a socket its place in the chain is.
#[inline(always)]
fn offset() -> u64 {
    number(address(core::ptr::null(), Field::SkcNullsNode) as u64)
}

#[inline(always)]
fn read_at(address: u64) -> Option<u64> {
    read(address as *const c_void, Field::NullsFirst)
}

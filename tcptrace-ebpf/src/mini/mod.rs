//! Mini-sockets: what is remembered of a connection goes with it when the kernel hands it over.
//!
//! The socket's own program and the hook on timers meet here. What belongs to one CPU is written with
//! interrupts off (timers, `tcptrace_settle`) or by the socket's program. A timer that an interrupt
//! moves during a hand-over can cost one of the young ones its place; then its TIME_WAIT is told with
//! its end.

pub mod end;
mod successor;
pub mod table;
pub mod young;

use core::ffi::c_void;

use tcptrace_common::counter::Counter;
use tcptrace_common::field::Field;
use tcptrace_common::memory::{SocketMemory, memory_flag};
use tcptrace_common::mini::Move;
use tcptrace_common::setting::Setting;
use tcptrace_common::tcp::state;

use crate::config::{address, read, setting};
use crate::emit::{Transition, observe};
use crate::maps::count_here;
use crate::sock::Sock;
use crate::typed_sock::TypedSock;

/// A mini-socket, known by its address alone.
#[derive(Clone, Copy)]
pub struct Mini(*const c_void);

impl Mini {
    /// The one whose timer this is.
    #[inline(always)]
    pub fn of_timer(timer: *const c_void) -> Self {
        let offset = address(core::ptr::null(), Field::MiniTimer) as usize;
        Self(timer.wrapping_byte_sub(offset))
    }

    /// The one at this address.
    #[inline(always)]
    fn at(key: u64) -> Self {
        Self(key as *const c_void)
    }

    #[inline(always)]
    fn key(self) -> u64 {
        self.0 as u64
    }

    #[inline(always)]
    fn sock(self) -> Sock {
        Sock::new(self.0)
    }

    #[inline(always)]
    fn timer(self) -> *const c_void {
        address(self.0, Field::MiniTimer)
    }

    /// When its timer runs out, in jiffies; 0 where that cannot be read.
    #[inline(always)]
    fn expires(self) -> u64 {
        read(self.timer(), Field::TimerExpires).unwrap_or_default()
    }

    /// Whether it is still the mini-socket with this cookie, and waits. A timer that is set to another
    /// time counts as waiting all along (`detach_timer()`, `kernel/time/timer.c`).
    #[inline(always)]
    fn waits(self, cookie: u64) -> bool {
        self.sock().raw_cookie() == cookie
            && read::<u64>(self.timer(), Field::TimerPending).unwrap_or_default() != 0
    }

    /// FIN_WAIT2 or TIME_WAIT; 0 where that cannot be read.
    #[inline(always)]
    fn substate(self) -> u8 {
        read(self.0, Field::MiniSubstate).unwrap_or_default()
    }
}

/// A socket enters CLOSE: if a mini-socket goes on with its connection, the memory goes with it.
/// Returns the mini-socket's state, 0 where there is none.
#[inline(always)]
pub fn hand_over(sk: TypedSock, memory: &SocketMemory, from: u8, now: u64) -> u8 {
    if setting(Setting::MiniTimer) == 0 || !matches!(from, state::FIN_WAIT2 | state::CLOSING) {
        return 0;
    }
    if !end::is_watched() {
        return 0;
    }
    let Some(mini) = successor::of(sk, memory.cookie) else { return 0 };
    let substate = mini.substate();
    let Some(own) = table::put(mini.key(), memory) else { return substate };
    if from != substate {
        own.since_ns = now;
    } else if own.state != from {
        own.since_ns = 0;
    }
    own.state = substate;
    own.flags &= !memory_flag::SINCE_LATEST;
    if substate == state::FIN_WAIT2 {
        young::add(mini, memory.cookie, now);
    }
    substate
}

#[inline(always)]
fn tell(told: &Move, memory: &mut SocketMemory, sock: Sock) {
    count_here(Counter::MiniTransitions);
    observe(&Transition::of_mini(told), memory, sock);
}

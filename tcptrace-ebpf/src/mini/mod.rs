//! Mini-sockets: what is remembered of a connection goes with it when the kernel hands it over.
//!
//! The socket's own program and the hooks on mini-sockets meet here: functions of the kernel ([`told`]), or
//! timers ([`end`], [`young`]). What belongs to one CPU is written with interrupts off (timers,
//! `tcptrace_settle`), with softirqs off (functions) or by the socket's program. A timer that an interrupt
//! moves during a hand-over can cost one of the young ones its place; then its TIME_WAIT is told with its
//! end.

pub mod end;
mod successor;
pub mod table;
pub mod told;
pub mod young;

use core::ffi::c_void;

use tcptrace_common::counter::Counter;
use tcptrace_common::field::Field;
use tcptrace_common::memory::{SocketMemory, memory_flag};
use tcptrace_common::mini::{MiniEnd, MiniMemory, Move, enter, to_time_wait, way};
use tcptrace_common::setting::Setting;
use tcptrace_common::tcp::state;

use crate::config::{address, read, setting};
use crate::emit::{Transition, observe};
use crate::maps::{MINI_WAY, count_here};
use crate::sock::Sock;
use crate::typed_sock::TypedSock;
use crate::words::clear;

const ENDING: u64 = table::bit(memory_flag::ENDING);
const AGAIN: u64 = table::bit(memory_flag::AGAIN);

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
    pub fn at(key: u64) -> Self {
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
    if setting(Setting::MiniSockets) == 0 || !matches!(from, state::FIN_WAIT2 | state::CLOSING) {
        return 0;
    }
    let way = followed();
    if way == way::NONE {
        return 0;
    }
    let Some(mini) = successor::of(sk, memory.cookie) else { return 0 };
    let substate = mini.substate();
    let since_ns = match memory.state {
        _ if from != substate => now,
        known if known == from => memory.since_ns,
        _ => 0,
    };
    let flags = memory.flags & !memory_flag::SINCE_LATEST;
    let entered = table::Entered { state: substate, since_ns, flags };
    let Some(own) = table::put(mini.key(), memory, &entered) else { return substate };
    if way == way::FUNCTIONS {
        return told::handed_over(mini, memory.cookie, own, substate, now);
    }
    if substate == state::FIN_WAIT2 {
        young::add(mini, memory.cookie, now);
    }
    substate
}

/// How they are followed: what no hook sees shall not be handed over.
#[inline(always)]
fn followed() -> u64 {
    // SAFETY: a word, which user space writes once.
    MINI_WAY.get_ptr(0).map_or(way::NONE, |way| unsafe { way.read_volatile() })
}

/// Tells that one in FIN_WAIT2 has entered TIME_WAIT, and when, with a bound, as `when` says of what is
/// remembered; unless that was told or will be. Meanwhile it is marked, so that no other CPU takes it for
/// what it was before. `false`: another CPU has come to its end meanwhile, and left the place to this one.
#[inline(always)]
fn tell_time_wait(
    mini: Mini,
    own: &mut MiniMemory,
    memory: &mut SocketMemory,
    when: impl FnOnce(&SocketMemory) -> (u64, u8),
) -> bool {
    let mark = table::mark(own);
    let marked = mark | ENDING;
    let is_told = table::state_in(mark) != state::FIN_WAIT2 || mark == marked;
    if is_told || !table::change(own, mark, marked) {
        return true;
    }
    clear(memory);
    table::restore(own, memory);
    mini.sock().mini_tuple(&mut memory.tuple);
    let (at, bound) = when(memory);
    let told = to_time_wait(memory, at, bound);
    tell(&told, memory, mini.sock());
    enter(memory, &told);
    own.since_ns = memory.since_ns;
    table::change(own, marked, table::mark_of(memory))
}

/// Tells the end; the place in the table is given back.
#[inline(always)]
fn tell_end(end: &mut MiniEnd, mini: Mini, own: Option<&'static mut MiniMemory>) {
    if let Some(own) = own {
        table::forget(mini.key(), own);
    }
    if let Some(told) = end.unseen_time_wait() {
        tell(&told, &mut end.memory, mini.sock());
        enter(&mut end.memory, &told);
    }
    tell(&end.close(), &mut end.memory, mini.sock());
}

#[inline(always)]
fn tell(told: &Move, memory: &mut SocketMemory, sock: Sock) {
    count_here(Counter::MiniTransitions);
    observe(&Transition::of_mini(told), memory, sock);
}

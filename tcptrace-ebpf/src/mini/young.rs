//! Mini-sockets that were made in FIN_WAIT2 of late. A FIN that comes soon sets their timer to a time in
//! the slot that it is in already, and no hook tells: so each CPU looks at some whenever a timer moves.

use aya_ebpf::helpers::{bpf_jiffies64, bpf_ktime_get_ns};
use tcptrace_common::counter::Counter;
use tcptrace_common::memory::SocketMemory;
use tcptrace_common::record::bound;
use tcptrace_common::tcp::state;

use super::end::latest_time_wait;
use super::{Mini, table, tell_time_wait};
use crate::maps::{YOUNG, count};
use crate::opaque::opaque;

/// How many a CPU keeps an eye on; a power of two.
const MOST: usize = 128;
/// For how long, ns: a FIN that comes later moves the timer to another slot, which a hook tells.
/// A slot is 512 jiffies wide at that distance (`kernel/time/timer.c`), 5.1 s at 100 a second.
const YOUNG_FOR_NS: u64 = 5_200_000_000;

/// Those of one CPU.
#[repr(C)]
pub struct Young {
    /// Number of the first one, of which the low bits are its place.
    first: u64,
    /// The number after the last one.
    end: u64,
    /// Where the memory of one of these is built; programs have 512 bytes of stack.
    memory: SocketMemory,
    places: [Place; MOST],
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Place {
    key: u64,
    cookie: u64,
    /// When it was made; [`SEEN`]: it was in TIME_WAIT when it was looked at before.
    since_ns: u64,
}

/// See [`Place::since_ns`].
const SEEN: u64 = 0;

impl Young {
    /// The first one gives way where there is no room.
    #[inline(always)]
    fn add(&mut self, place: Place) {
        if self.end - self.first >= MOST as u64 {
            self.first += 1;
        }
        self.places[opaque(self.end) as usize & (MOST - 1)] = place;
        self.end += 1;
    }

    /// Takes the first one out.
    #[inline(always)]
    fn take(&mut self) -> Option<Place> {
        if self.first == self.end {
            return None;
        }
        let place = self.places[opaque(self.first) as usize & (MOST - 1)];
        self.first += 1;
        Some(place)
    }
}

#[inline(always)]
fn own() -> Option<&'static mut Young> {
    // SAFETY: this CPU's own slot, see the module above.
    YOUNG.get_ptr_mut(0).map(|young| unsafe { &mut *young })
}

/// One that was made just now.
#[inline(always)]
pub fn add(mini: Mini, cookie: u64, since_ns: u64) {
    if let Some(young) = own() {
        young.add(Place { key: mini.key(), cookie, since_ns });
    }
}

/// Looks whether one of them is in TIME_WAIT by now. `moving` is the one whose timer is just being moved:
/// that is in TIME_WAIT already and has its old time yet, and the hook itself tells of it.
#[inline(always)]
pub fn look_at_one(moving: Option<Mini>) -> Option<()> {
    let young = own()?;
    let place = young.take()?;
    if moving.is_some_and(|moving| moving.key() == place.key) {
        return None;
    }
    let mini = Mini::at(place.key);
    if mini.sock().raw_cookie() != place.cookie {
        return None;
    }
    if mini.substate() == state::TIME_WAIT {
        // Another CPU may be about to move its timer, of which the old time still stands there.
        if place.since_ns != SEEN {
            young.add(Place { since_ns: SEEN, ..place });
            return None;
        }
        let own = table::find(place.key, place.cookie)?;
        let when = |memory: &SocketMemory| at_most(mini, memory);
        if !tell_time_wait(mini, own, &mut young.memory, when) {
            // Its timer was cancelled meanwhile, and that CPU has left it to this one.
            count(Counter::TransitionMissed);
        }
        return None;
    }
    // SAFETY: no preconditions.
    if unsafe { bpf_ktime_get_ns() } - place.since_ns < YOUNG_FOR_NS {
        young.add(place);
    }
    None
}

/// When it entered TIME_WAIT at the latest: its timer was moved.
#[inline(always)]
fn at_most(mini: Mini, memory: &SocketMemory) -> (u64, u8) {
    // SAFETY: these helpers have no preconditions.
    let (now, jiffies) = unsafe { (bpf_ktime_get_ns(), bpf_jiffies64()) };
    (latest_time_wait(memory.since_ns, now, jiffies, mini.expires()), bound::AT_MOST)
}

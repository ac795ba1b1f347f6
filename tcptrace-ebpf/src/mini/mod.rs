//! Mini-sockets: what is remembered of a connection goes with it when the kernel hands it over.
//!
//! The socket's own program and the two timer hooks meet here. What belongs to one CPU is written with
//! interrupts off (timer hooks) or with softirqs off (hand-over). A timer that an interrupt moves
//! during a hand-over can cost one of the young ones its place; then its TIME_WAIT is told with its
//! end.

pub mod table;

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_jiffies64, bpf_ktime_get_ns};
use tcptrace_common::counter::Counter;
use tcptrace_common::field::Field;
use tcptrace_common::jiffies;
use tcptrace_common::memory::{SocketMemory, memory_flag};
use tcptrace_common::mini::{MiniEnd, Move, enter, to_time_wait};
use tcptrace_common::record::bound;
use tcptrace_common::setting::Setting;
use tcptrace_common::tcp::state;

use crate::config::{address, read, setting};
use crate::emit::{Transition, observe};
use crate::maps::{MINI_ENDS, MINIS, count_here};
use crate::opaque::opaque;
use crate::sock::Sock;
use crate::words::clear;

/// How many mini-sockets in FIN_WAIT2 a CPU keeps an eye on; a power of two.
const YOUNG: usize = 128;
/// For how long, ns: a FIN that comes later moves the timer to another slot, which a hook tells.
/// A slot is 512 jiffies wide at that distance (`kernel/time/timer.c`), 5.1 s at 100 a second.
const YOUNG_FOR_NS: u64 = 5_200_000_000;
/// `TCP_TIMEWAIT_LEN`, s (`include/net/tcp.h`).
const TIME_WAIT_S: u64 = 60;

/// What one CPU knows of mini-sockets.
#[repr(C)]
pub struct Minis {
    /// The one that was made last, until its socket enters CLOSE; 0: none.
    born: u64,
    /// Its cookie.
    born_cookie: u64,
    /// Its state.
    born_substate: u64,
    /// Number of the first of [`Self::young`], of which the low bits are its place.
    first: u64,
    /// The number after the last one.
    end: u64,
    /// Where the memory of one of these is built; programs have 512 bytes of stack.
    memory: SocketMemory,
    /// Those made in FIN_WAIT2 of late.
    young: [Young; YOUNG],
}

/// A mini-socket that was made in FIN_WAIT2.
#[derive(Clone, Copy)]
#[repr(C)]
struct Young {
    key: u64,
    cookie: u64,
    since_ns: u64,
}

impl Minis {
    /// Adds one to those that are looked at; the first one gives way.
    #[inline(always)]
    fn add(&mut self, young: Young) {
        if self.end - self.first >= YOUNG as u64 {
            self.first += 1;
        }
        self.young[opaque(self.end) as usize & (YOUNG - 1)] = young;
        self.end += 1;
    }

    /// Takes the first one out.
    #[inline(always)]
    fn take(&mut self) -> Option<Young> {
        if self.first == self.end {
            return None;
        }
        let young = self.young[opaque(self.first) as usize & (YOUNG - 1)];
        self.first += 1;
        Some(young)
    }
}

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

    #[inline(always)]
    fn key(self) -> u64 {
        self.0 as u64
    }

    #[inline(always)]
    fn sock(self) -> Sock {
        Sock::new(self.0)
    }

    /// When its timer runs out, in jiffies; 0 where that cannot be read.
    #[inline(always)]
    fn expires(self) -> u64 {
        read(address(self.0, Field::MiniTimer), Field::TimerExpires).unwrap_or_default()
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
pub fn hand_over(memory: &SocketMemory, from: u8, now: u64) -> u8 {
    if setting(Setting::MiniTimer) == 0 {
        return 0;
    }
    let Some(minis) = minis() else { return 0 };
    if minis.born == 0 || minis.born_cookie != memory.cookie {
        return 0;
    }
    let (key, substate) = (minis.born, minis.born_substate as u8);
    minis.born = 0;
    let Some(own) = table::put(key, memory) else { return substate };
    if from != substate {
        own.since_ns = now;
    } else if own.state != from {
        own.since_ns = 0;
    }
    own.state = substate;
    own.flags &= !memory_flag::SINCE_LATEST;
    if substate == state::FIN_WAIT2 {
        minis.add(Young { key, cookie: memory.cookie, since_ns: now });
    }
    substate
}

/// A timer of this CPU was started.
#[inline(always)]
pub fn timer_started(mini: Option<Mini>) {
    let started_again = settle(mini);
    look_at_one(mini);
    if let Some(mini) = mini
        && !started_again
        && let Some(minis) = minis()
    {
        minis.born = mini.key();
        minis.born_cookie = mini.sock().raw_cookie();
        minis.born_substate = u64::from(mini.substate());
    }
}

/// A timer of this CPU was cancelled, or its time has come.
#[inline(always)]
pub fn timer_cancelled(mini: Option<Mini>) {
    settle(None);
    look_at_one(mini);
    if let Some(mini) = mini {
        note_end(mini);
    }
}

#[inline(always)]
fn minis() -> Option<&'static mut Minis> {
    // SAFETY: this CPU's own slot, see the module.
    MINIS.get_ptr_mut(0).map(|minis| unsafe { &mut *minis })
}

#[inline(always)]
fn last_end() -> Option<&'static mut MiniEnd> {
    // SAFETY: this CPU's own slot, see the module; user space only reads it.
    MINI_ENDS.get_ptr_mut(0).map(|end| unsafe { &mut *end })
}

/// Notes what may be the end of a mini-socket: the next timer of this CPU tells.
#[inline(always)]
fn note_end(mini: Mini) {
    let Some(end) = last_end() else { return };
    let sock = mini.sock();
    // SAFETY: these helpers have no preconditions.
    let (now, jiffies) = unsafe { (bpf_ktime_get_ns(), bpf_jiffies64()) };
    let expires = mini.expires();
    end.time_ns = now;
    end.substate = mini.substate();
    end.expired = u8::from(jiffies >= expires);
    recall(mini, &mut end.memory);
    if end.memory.netns == 0 {
        end.memory.netns = sock.netns();
    }
    end.netns = end.memory.netns;
    end.time_wait_ns = if end.has_moved() {
        latest_time_wait(end.memory.since_ns, now, jiffies, expires)
    } else {
        0
    };
    end.sk = mini.key();
}

/// Takes the memory of a mini-socket out of the table. Of one that is older than the trace there are
/// its cookie and its endpoints alone.
#[inline(always)]
fn recall(mini: Mini, memory: &mut SocketMemory) {
    let sock = mini.sock();
    let cookie = sock.raw_cookie();
    clear(memory);
    if let Some(own) = table::find(mini.key()) {
        if own.cookie == cookie && cookie != 0 {
            table::restore(own, memory);
        }
        table::forget(mini.key());
    }
    memory.cookie = cookie;
    sock.mini_tuple(&mut memory.tuple);
}

/// When TIME_WAIT began at the latest, ns, to the jiffy: the timer then got its last time, unless a
/// segment came once more; jiffies tell the beginning of the one in which that was. Where the
/// rate of jiffies is not known, now at the latest.
#[inline(always)]
fn latest_time_wait(since: u64, now: u64, jiffies: u64, expires: u64) -> u64 {
    let rate = jiffies::rate(now, jiffies);
    if rate == 0 {
        return now;
    }
    let ago = jiffies.saturating_sub(expires.saturating_sub(TIME_WAIT_S * rate)).saturating_sub(1);
    now.saturating_sub(ago * 1_000_000_000 / rate).max(since)
}

/// Decides about the end that was noted on this CPU: `started` is the mini-socket whose timer
/// starts now. Returns whether that is the same, so that it was no end.
#[inline(always)]
fn settle(started: Option<Mini>) -> bool {
    let Some(end) = last_end() else { return false };
    if end.sk == 0 {
        return false;
    }
    let again = started.is_some_and(|mini| mini.key() == end.sk);
    if again {
        go_on(end);
    } else {
        tell_end(end);
    }
    end.sk = 0;
    again
}

/// The timer was set to another time: in FIN_WAIT2 because the peer's FIN has come.
#[inline(always)]
fn go_on(end: &mut MiniEnd) {
    let sock = Sock::new(end.sk as *const c_void);
    if end.has_moved() {
        let told = to_time_wait(&end.memory, end.time_ns, bound::EXACT);
        tell(&told, &mut end.memory, sock);
        enter(&mut end.memory, &told);
    }
    table::put(end.sk, &end.memory);
}

#[inline(always)]
fn tell(told: &Move, memory: &mut SocketMemory, sock: Sock) {
    count_here(Counter::MiniTransitions);
    observe(&Transition::of_mini(told), memory, sock);
}

#[inline(always)]
fn tell_end(end: &mut MiniEnd) {
    let sock = Sock::new(end.sk as *const c_void);
    if let Some(told) = end.unseen_time_wait() {
        tell(&told, &mut end.memory, sock);
        enter(&mut end.memory, &told);
    }
    tell(&end.close(), &mut end.memory, sock);
}

/// Looks whether one of those that were made in FIN_WAIT2 of late is in TIME_WAIT by now. The
/// kernel leaves a timer alone if its new time falls into the slot that it is in already (some
/// two seconds wide), so no hook tells. The one whose timer is just being moved is in TIME_WAIT
/// already and has its old time yet: of that the hook itself tells.
#[inline(always)]
fn look_at_one(moving: Option<Mini>) -> Option<()> {
    let minis = minis()?;
    let young = minis.take()?;
    if moving.is_some_and(|moving| moving.key() == young.key) {
        return None;
    }
    let mini = Mini(young.key as *const c_void);
    if mini.sock().raw_cookie() != young.cookie {
        return None;
    }
    // SAFETY: these helpers have no preconditions.
    let (now, jiffies) = unsafe { (bpf_ktime_get_ns(), bpf_jiffies64()) };
    if mini.substate() != state::TIME_WAIT {
        if now - young.since_ns < YOUNG_FOR_NS {
            minis.add(young);
        }
        return None;
    }
    let own = table::find(young.key)?;
    if own.cookie == young.cookie && own.state == state::FIN_WAIT2 {
        let memory = &mut minis.memory;
        clear(memory);
        table::restore(own, memory);
        mini.sock().mini_tuple(&mut memory.tuple);
        let at = latest_time_wait(memory.since_ns, now, jiffies, mini.expires());
        let told = to_time_wait(memory, at, bound::AT_MOST);
        tell(&told, memory, mini.sock());
        enter(memory, &told);
        table::keep(own, memory);
    }
    Some(())
}

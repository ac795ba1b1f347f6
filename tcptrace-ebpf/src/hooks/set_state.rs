//! State transitions: the one hook that tcptrace cannot do without.
//!
//! Kernel contract (seen on 5.10, 6.1, 6.12, 6.18, 7.3): `inet_sock_set_state(sk, old, new)` fires
//! for each transition of a full socket, in whatever context makes it. `current` is the actor's
//! only at CLOSE→SYN_SENT and CLOSE→LISTEN, in connect() and listen(). At LISTEN→SYN_RECV the child
//! still carries its listener's cookie and no peer on kernels up to 6.12, so both are taken up at
//! its next transition, microseconds later, and its birth is told then.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use aya_log_ebpf::{debug, trace};
use tcptrace_common::counter::Counter;
use tcptrace_common::field::Field;
use tcptrace_common::memory::{SocketMemory, memory_flag, role};
use tcptrace_common::record::{DWELL_UNKNOWN, bound, transition_flag};
use tcptrace_common::setting::Setting;
use tcptrace_common::tcp::state;

use crate::config::setting;
use crate::emit::{self, Transition};
use crate::maps::{count, count_here};
use crate::memory::{self, begin, recall_or_begin};
use crate::mini;
use crate::nested;
use crate::opaque::number;
use crate::task::current_process;
use crate::typed_sock::TypedSock;

#[btf_tracepoint(function = "inet_sock_set_state")]
fn tcptrace_set_state(ctx: BtfTracePointContext) -> i32 {
    if let Some((sk, from, to)) = moving(&ctx) {
        nested::note(note(sk, from, to));
        count_here(Counter::Transitions);
        transition(&ctx, sk, from, to);
    }
    0
}

/// The same for transitions in the midst of the other one, see [`nested`].
#[btf_tracepoint(function = "inet_sock_set_state")]
fn tcptrace_nested(ctx: BtfTracePointContext) -> i32 {
    if let Some((sk, from, to)) = moving(&ctx) {
        if nested::begin() && !nested::was_noted(note(sk, from, to)) && !is_known(sk, to) {
            count(Counter::NestedTransitions);
            transition(&ctx, sk, from, to);
        }
        nested::end();
    }
    0
}

/// The socket and its states before and after, where it is one of TCP's and enters another state.
#[inline(always)]
fn moving(ctx: &BtfTracePointContext) -> Option<(TypedSock, u8, u8)> {
    // SAFETY: `inet_sock_set_state(sk, old, new)`.
    let sk = unsafe { TypedSock::new(ctx.arg(0)) };
    let (from, to): (i32, i32) = (ctx.arg(1), ctx.arg(2));
    (from != to && sk.is_tcp()).then_some((sk, from as u8, to as u8))
}

#[inline(always)]
fn note(sk: TypedSock, from: u8, to: u8) -> u64 {
    nested::note_of(number(sk.untyped().key()), from, to)
}

/// Whether it is remembered that the socket has entered this state.
#[inline(always)]
fn is_known(sk: TypedSock, to: u8) -> bool {
    let cookie = sk.cookie();
    memory::find(sk.untyped())
        .is_some_and(|memory| memory.state == to && (memory.cookie == 0 || memory.cookie == cookie))
}

#[inline(always)]
fn transition(ctx: &BtfTracePointContext, sk: TypedSock, from: u8, to: u8) {
    trace!(ctx, "socket {}: state {} to {}", sk.cookie(), from, to);
    match (from, to) {
        (from, state::SYN_SENT) => opened(sk, from, state::SYN_SENT, role::ACTIVE),
        (from, state::LISTEN) => opened(sk, from, state::LISTEN, role::LISTENER),
        (state::LISTEN, state::SYN_RECV) => cloned(sk),
        (from, to) if !is_followed(sk, from, to) => {}
        (from, to) => moved(ctx, sk, from, to),
    }
}

/// Whether a transition is one of those that are followed, births apart. Leaks begin when the peer
/// closes (CLOSE_WAIT) and when a connection ends that a descriptor holds or that waits for
/// accept(); the latter leaves a state in which no closed socket can be.
#[inline(always)]
fn is_followed(sk: TypedSock, from: u8, to: u8) -> bool {
    follows_all()
        || from == state::CLOSE_WAIT
        || to == state::CLOSE_WAIT
        || (to == state::CLOSE && (from == state::ESTABLISHED || !sk.is_orphan()))
}

#[inline(always)]
fn follows_all() -> bool {
    setting(Setting::Follow) != 0
}

/// The beginning of a life, perhaps at an address where another socket lived.
#[inline(always)]
fn newborn(sk: TypedSock, state: u8, role: u8) -> Option<&'static mut SocketMemory> {
    let memory = begin(sk.untyped())?;
    // SAFETY: no preconditions.
    memory.since_ns = unsafe { bpf_ktime_get_ns() };
    memory.state = state;
    memory.role = role;
    Some(memory)
}

/// connect() or listen().
#[inline(always)]
fn opened(sk: TypedSock, from: u8, to: u8, role: u8) {
    let Some(memory) = newborn(sk, to, role) else { return };
    memory.cookie = sk.cookie();
    memory.opened_ns = memory.since_ns;
    if current_process(&mut memory.opener).is_some() {
        count(Counter::Openers);
    }
    if emit::may_want(from, to) {
        sk.tuple(&mut memory.tuple);
        emit::tell_birth(&birth(sk, memory, from, to), memory, sk);
    }
}

/// A listener's child. Its birth is always remembered: nothing else tells that a descriptor which
/// io_uring hands over is that of a connection just accepted.
#[inline(always)]
fn cloned(sk: TypedSock) {
    newborn(sk, state::SYN_RECV, role::PASSIVE);
}

/// The transition with which a memory began.
#[inline(always)]
fn birth(sk: TypedSock, memory: &SocketMemory, from: u8, to: u8) -> Transition {
    Transition {
        from,
        to,
        time_ns: memory.since_ns,
        dwell_ns: DWELL_UNKNOWN,
        error: 0,
        bound: bound::EXACT,
        flags: orphan(sk),
    }
}

#[inline(always)]
fn moved(ctx: &BtfTracePointContext, sk: TypedSock, from: u8, to: u8) {
    let cookie = sk.cookie();
    let Some(memory) = recall_or_begin(sk.untyped(), cookie) else { return };
    // SAFETY: no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    let dwell_ns = dwell(memory, from, now);
    if is_missed(memory, from) {
        count(Counter::TransitionMissed);
        debug!(ctx, "socket {} left state {} but was remembered in {}", cookie, from, memory.state);
    }
    memory.cookie = cookie;
    if memory.tuple.local_port == 0 {
        sk.tuple(&mut memory.tuple);
    }
    if is_birth(memory, from) && emit::may_want(state::LISTEN, state::SYN_RECV) {
        emit::tell_birth(&birth(sk, memory, state::LISTEN, state::SYN_RECV), memory, sk);
    }
    let mini = if to == state::CLOSE { mini::hand_over(sk, memory, from, now) } else { 0 };
    enter(sk, from, to, now, memory);
    // A socket that goes on as a mini-socket in the same state has made no move yet.
    if mini == from {
        return;
    }
    let transition = Transition {
        from,
        to: if mini == 0 { to } else { mini },
        time_ns: now,
        dwell_ns,
        error: memory.end_error,
        bound: bound::EXACT,
        flags: orphan(sk) | if mini == 0 { 0 } else { transition_flag::MINI_SOCKET },
    };
    emit::observe(&transition, memory, sk);
}

/// Whether a transition that should have been seen was not.
#[inline(always)]
fn is_missed(memory: &SocketMemory, from: u8) -> bool {
    let must_fit = follows_all() || memory.state == state::CLOSE_WAIT;
    must_fit && memory.state != 0 && memory.state != from
}

/// Time spent in `from`, unknown where its beginning was not seen.
#[inline(always)]
fn dwell(memory: &SocketMemory, from: u8, now: u64) -> u64 {
    if memory.state == from && memory.since_ns != 0 {
        now.saturating_sub(memory.since_ns)
    } else {
        DWELL_UNKNOWN
    }
}

/// Whether a child leaves the state in which it was born.
#[inline(always)]
fn is_birth(memory: &SocketMemory, from: u8) -> bool {
    from == state::SYN_RECV && memory.state == from && memory.role == role::PASSIVE
}

#[inline(always)]
fn orphan(sk: TypedSock) -> u8 {
    if sk.is_orphan() { transition_flag::ORPHAN } else { 0 }
}

/// What is to be remembered of the moment in which a state is entered.
#[inline(always)]
fn enter(sk: TypedSock, from: u8, to: u8, now: u64, memory: &mut SocketMemory) {
    memory.since_ns = now;
    memory.state = to;
    if !matches!(from, state::SYN_SENT | state::SYN_RECV | state::LISTEN) {
        memory.flags |= memory_flag::ESTABLISHED;
    }
    // Nobody has accepted a socket that the peer closes and that has no descriptor.
    if to == state::CLOSE_WAIT && memory.role == role::UNKNOWN && sk.is_orphan() {
        memory.role = role::PASSIVE;
    }
    match to {
        state::ESTABLISHED => memory.flags |= memory_flag::ESTABLISHED,
        state::CLOSE_WAIT => {
            memory.flags |= memory_flag::FIN_RECEIVED;
            memory.leak_since_ns = now;
            memory.write_seq_at_fin = sk.untyped().get(Field::WriteSeq);
        }
        state::CLOSE => {
            memory.end_error = sk.error();
            if from != state::CLOSE_WAIT {
                memory.leak_since_ns = now;
            }
        }
        _ => {}
    }
}

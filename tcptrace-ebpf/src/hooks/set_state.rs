//! State transitions: the one hook that tcptrace cannot do without.
//!
//! Kernel contract (seen on 5.10, 6.1, 6.12, 6.18, 7.3): `inet_sock_set_state(sk, old, new)` fires
//! for each transition of a full socket, in whatever context makes it. `current` is the actor's
//! only at CLOSE→SYN_SENT and CLOSE→LISTEN, in connect() and listen(). At LISTEN→SYN_RECV the child still carries
//! its listener's cookie and no peer on kernels up to 6.12, so both are taken up later.

use aya_ebpf::helpers::bpf_ktime_get_ns;
use aya_ebpf::macros::btf_tracepoint;
use aya_ebpf::programs::BtfTracePointContext;
use aya_log_ebpf::{debug, trace};
use tcptrace_common::counter::Counter;
use tcptrace_common::field::Field;
use tcptrace_common::memory::{SocketMemory, memory_flag, role};
use tcptrace_common::record::{DWELL_UNKNOWN, bound, transition_flag};
use tcptrace_common::tcp::state;

use crate::emit::{self, Transition};
use crate::maps::count;
use crate::memory::{begin, recall_or_begin};
use crate::sock::Sock;
use crate::task::current_process;

#[btf_tracepoint(function = "inet_sock_set_state")]
fn tcptrace_set_state(ctx: BtfTracePointContext) -> i32 {
    let sk = Sock::new(ctx.arg(0));
    let (from, to): (i32, i32) = (ctx.arg(1), ctx.arg(2));
    // SAFETY: the hook's argument.
    if from == to || !unsafe { sk.is_tcp_argument() } {
        return 0;
    }
    count(Counter::Transitions);
    // SAFETY: the hook's argument.
    trace!(&ctx, "socket {}: state {} to {}", unsafe { sk.cookie() }, from, to);
    match (from as u8, to as u8) {
        (_, state::SYN_SENT) => born(sk, role::ACTIVE, to as u8),
        (state::LISTEN, state::SYN_RECV) => born(sk, role::PASSIVE, to as u8),
        (_, state::LISTEN) => born(sk, role::LISTENER, to as u8),
        (from, to) => moved(&ctx, sk, from, to),
    }
    0
}

/// A new life begins, perhaps at an address where another socket lived.
#[inline(always)]
fn born(sk: Sock, role: u8, to: u8) {
    // SAFETY: no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    let mut memory = SocketMemory { since_ns: now, state: to, role, ..SocketMemory::default() };
    if role != role::PASSIVE {
        // SAFETY: the hook's argument.
        memory.cookie = unsafe { sk.cookie() };
        memory.opened_ns = now;
        if current_process(&mut memory.opener).is_some() {
            count(Counter::Openers);
        }
    }
    begin(sk, &memory);
}

#[inline(always)]
fn moved(ctx: &BtfTracePointContext, sk: Sock, from: u8, to: u8) {
    // SAFETY: the hook's argument.
    let cookie = unsafe { sk.cookie() };
    let Some(memory) = recall_or_begin(sk, cookie) else { return };
    // SAFETY: no preconditions.
    let now = unsafe { bpf_ktime_get_ns() };
    let dwell_ns = dwell(memory, from, now);
    if memory.state != 0 && memory.state != from {
        count(Counter::TransitionMissed);
        debug!(ctx, "socket {} left state {} but was remembered in {}", cookie, from, memory.state);
    }
    memory.cookie = cookie;
    memory.since_ns = now;
    memory.state = to;
    enter(sk, from, to, memory);
    if emit::is_wanted(from, dwell_ns) {
        let transition = Transition {
            from,
            to,
            time_ns: now,
            dwell_ns,
            netns: sk.netns(),
            error: memory.end_error,
            bound: bound::EXACT,
            flags: if sk.is_orphan() { transition_flag::ORPHAN } else { 0 },
        };
        emit::transition(&transition, memory);
    }
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

/// What is to be remembered of the moment in which a state is entered.
#[inline(always)]
fn enter(sk: Sock, from: u8, to: u8, memory: &mut SocketMemory) {
    if from == state::ESTABLISHED {
        memory.flags |= memory_flag::ESTABLISHED;
    }
    match to {
        state::ESTABLISHED => memory.flags |= memory_flag::ESTABLISHED,
        state::CLOSE_WAIT => {
            memory.flags |= memory_flag::FIN_RECEIVED | memory_flag::ESTABLISHED;
            memory.leak_since_ns = memory.since_ns;
            memory.write_seq_at_fin = sk.get(Field::WriteSeq);
        }
        state::CLOSE => {
            memory.end_error = sk.get(Field::SkErr);
            if from != state::CLOSE_WAIT {
                memory.leak_since_ns = memory.since_ns;
            }
        }
        _ => {}
    }
    if memory.tuple.family == 0 && to != state::SYN_SENT {
        sk.tuple(&mut memory.tuple);
    }
}

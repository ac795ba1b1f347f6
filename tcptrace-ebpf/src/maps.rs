//! The maps.

use aya_ebpf::bindings::BPF_F_NO_PREALLOC;
use aya_ebpf::macros::map;
use aya_ebpf::maps::{Array, HashMap, LpmTrie, LruHashMap, PerCpuArray, RingBuf};
use tcptrace_common::counter::{self, Counter};
use tcptrace_common::histogram::{self, KeyedSlot, StateHistogram};
use tcptrace_common::memory::SocketMemory;
use tcptrace_common::mini::{MiniEnd, MiniMemory};
use tcptrace_common::setting::filter::PORT_WORDS;
use tcptrace_common::stack::ProcessEntry;
use tcptrace_common::trail::{Trail, TrailKey};
use tcptrace_common::unwind::{Rule, RuleKey};

use crate::atomic::add_one;
use crate::hooks::accept::Served;
use crate::iters::Scratch;
use crate::mini::table;
use crate::mini::young::Young;
use crate::near;
use crate::nested;
use crate::stack::{DESKS, Record, Taken};

/// Addresses of the sockets that are remembered near, see [`near`].
#[map]
pub static NEAR_ADDRESSES: Array<near::Addresses> = Array::with_max_entries(near::ROWS, 0);

/// What is remembered of those.
#[map]
pub static NEAR_MEMORIES: Array<near::Memories> = Array::with_max_entries(near::ROWS, 0);

/// What is remembered of the other sockets, by the address of its `struct sock`. Allocated as
/// sockets come (allowed in tracing programs since 6.1), so that an idle host pays for its sockets
/// alone.
#[map]
pub static SOCKETS: HashMap<u64, SocketMemory> =
    HashMap::with_max_entries(1 << 20, BPF_F_NO_PREALLOC);

/// Records for user space. User space sets the size.
#[map]
pub static EVENTS: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// On each CPU the transitions that one of two programs has seen, see [`nested`].
#[map]
pub static NOTES: PerCpuArray<nested::Notes> = PerCpuArray::with_max_entries(1, 0);

/// [`Counter`]s.
#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::COUNT as u32, 0);

/// From the child in an accept queue to its listener, by address: written while the iterator
/// shows the listener, read when it comes to the child. Notes of earlier runs stay until they are
/// replaced, so user space checks that the listener is of this snapshot and fits the child.
#[map]
pub static WAITING: LruHashMap<u64, u64> = LruHashMap::with_max_entries(1 << 14, 0);

/// Network namespaces by inode number, and the run of an iterator that last showed a way into
/// each.
#[map]
pub static HINTED: LruHashMap<u32, u64> = LruHashMap::with_max_entries(1 << 12, 0);

/// Where an iterator builds a row; programs have 512 bytes of stack.
#[map]
pub static SCRATCH: PerCpuArray<Scratch> = PerCpuArray::with_max_entries(1, 0);

/// Stacks for user space: room for 150 that it has to finish.
#[map]
pub static STACKS: RingBuf = RingBuf::with_byte_size(4 << 20, 0);

/// What is known of processes, by pid in the initial pid namespace; those that are gone are
/// replaced by others.
#[map]
pub static PROCESSES: LruHashMap<u32, ProcessEntry> = LruHashMap::with_max_entries(1 << 13, 0);

/// The budget of all processes together that are not known yet. Not in [`PROCESSES`], which may
/// replace any of its entries: nothing would ever be learned again.
#[map]
pub static STRANGERS: Array<ProcessEntry> = Array::with_max_entries(1, 0);

/// Rules for the walk through a stack: a program needs some dozens.
#[map]
pub static RULES: HashMap<RuleKey, Rule> = HashMap::with_max_entries(1 << 16, BPF_F_NO_PREALLOC);

/// Stacks that were sent, by id, and when.
#[map]
pub static SEEN: LruHashMap<u64, u64> = LruHashMap::with_max_entries(1 << 14, 0);

/// Trails of walks that were made lately: 1.5 MiB.
#[map]
pub static TRAILS: LruHashMap<TrailKey, Trail> = LruHashMap::with_max_entries(1 << 11, 0);

/// Where a stack's record is built.
#[map]
pub static STACK_DESKS: PerCpuArray<Record> = PerCpuArray::with_max_entries(DESKS as u32, 0);

/// Which of these are taken.
#[map]
pub static STACK_TAKEN: PerCpuArray<Taken> = PerCpuArray::with_max_entries(1, 0);

/// The pid namespace of the tool: address of its `struct pid_namespace` and its depth. Written
/// by `tcptrace_observer`, used only where the tool is not in the initial pid namespace.
#[map]
pub static OBSERVER: Array<[u64; 2]> = Array::with_max_entries(1, 0);

/// What is remembered of connections that mini-sockets carry, see [`table`].
#[map]
pub static MINIS_NEAR: Array<table::Row> = Array::with_max_entries(table::ROWS, table::ALIGNED);

/// The same of those for which the table has no place.
#[map]
pub static MINIS_FAR: HashMap<u64, MiniMemory> =
    HashMap::with_max_entries(1 << 20, BPF_F_NO_PREALLOC);

/// How mini-sockets are followed, see [`tcptrace_common::mini::way`]. User space writes it.
#[map]
pub static MINI_WAY: Array<u64> = Array::with_max_entries(1, 0);

/// On each CPU the mini-sockets that it keeps an eye on.
#[map]
pub static YOUNG: PerCpuArray<Young> = PerCpuArray::with_max_entries(1, 0);

/// On each CPU the mini-socket whose end was noted last and is not told yet. User space reads it,
/// because on an idle CPU nothing else comes. Where functions tell, what is just being told.
#[map]
pub static MINI_ENDS: PerCpuArray<MiniEnd> = PerCpuArray::with_max_entries(1, 0);

/// On each CPU the success of accept() that was noted last.
#[map]
pub static SERVED: PerCpuArray<Served> = PerCpuArray::with_max_entries(1, 0);

/// Ports that are asked for, a bit each: local ones, then remote ones.
#[map]
pub static PORTS: Array<u64> = Array::with_max_entries(2 * PORT_WORDS, 0);

/// Network namespaces that are asked for.
#[map]
pub static NETNS: HashMap<u32, u8> = HashMap::with_max_entries(1 << 10, BPF_F_NO_PREALLOC);

/// Processes that are asked for, and their children where these are too: pid, and the latest start on
/// the boot clock that it can have. As many as there are pids at most would be 2²².
#[map]
pub static PIDS: HashMap<u32, u64> = HashMap::with_max_entries(1 << 20, BPF_F_NO_PREALLOC);

/// Sockets that a process that is asked for held when the trace began, by cookie.
#[map]
pub static HELD: HashMap<u64, u8> = HashMap::with_max_entries(1 << 20, BPF_F_NO_PREALLOC);

/// Networks of local addresses that are asked for; IPv4 as mapped addresses.
#[map]
pub static LOCAL_NETS: LpmTrie<[u8; 16], u8> =
    LpmTrie::with_max_entries(1 << 10, BPF_F_NO_PREALLOC);

/// Networks of remote addresses that are asked for.
#[map]
pub static REMOTE_NETS: LpmTrie<[u8; 16], u8> =
    LpmTrie::with_max_entries(1 << 10, BPF_F_NO_PREALLOC);
/// Counts of dwells by state and slot, and of those that found no place in [`KEY_HISTOGRAMS`].
#[map]
pub static STATE_HISTOGRAMS: PerCpuArray<StateHistogram> =
    PerCpuArray::with_max_entries(histogram::STATES, 0);

/// Counts of dwells by state, key and slot. User space sets the size.
#[map]
pub static KEY_HISTOGRAMS: HashMap<KeyedSlot, u64> =
    HashMap::with_max_entries(1 << 18, BPF_F_NO_PREALLOC);

/// Adds one to a counter of this CPU. A softirq may count in between, so the addition is one
/// instruction.
#[inline(always)]
pub fn count(counter: Counter) {
    if let Some(slot) = COUNTERS.get_ptr_mut(counter as u32) {
        add_one(slot);
    }
}

/// The same for what one program alone counts, or all that count it with interrupts off, or with softirqs
/// off where no interrupt counts it: the kernel does not run a program while it runs on the same CPU, so
/// nobody can count in between.
#[inline(always)]
pub fn count_here(counter: Counter) {
    if let Some(slot) = COUNTERS.get_ptr_mut(counter as u32) {
        // SAFETY: a value of the map lives at least until this program returns.
        unsafe { *slot += 1 };
    }
}

//! Finds CPython in a process, and where its threads keep their thread states.
//!
//! `_PyRuntime` leads to all interpreters and their thread states. CPython keeps the thread state
//! of a thread that is in a system call, where it has released the GIL, in one place only that
//! can be found from the thread itself: a `pthread_getspecific` slot (`autoTSSkey`,
//! `Python/pystate.c`). glibc has the first 32 of these in `struct pthread`, to which `fsbase`
//! points. Its offset is found by looking for the known thread states there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::elf::Elf;
use super::layout::{self, DEBUG_WORDS, Offsets, ThreadOffsets, Version};
use crate::stacks::arch::Arch;
use crate::stacks::memory::Memory;
use crate::stacks::open::regular;

/// Words of glibc's `struct pthread` that are searched. What lies below `fsbase` is left out: the
/// thread-local `_Py_tss_tstate` of 3.12 and newer is there, which is null in a system call.
const SEARCHED_WORDS: usize = 0x900 / 8;
/// Index of glibc's `tcbhead_t.self`, which equals `fsbase` (`sysdeps/x86_64/nptl/tls.h`).
const SELF: usize = 2;
const MAX_INTERPRETERS: usize = 64;
const MAX_THREADS: usize = 256;
/// The lists may change while they are read.
const TRIES: usize = 3;

/// A file that a process has mapped.
#[derive(Clone, Debug)]
pub struct LoadedFile {
    /// As the process names it.
    pub name: String,
    /// A path by which it can be opened here.
    pub path: PathBuf,
    /// Address of its first mapping.
    pub start: u64,
    /// Offset in the file of that mapping.
    pub offset: u64,
}

/// CPython in a process.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// What its version is.
    pub version: Version,
    /// Address of `_PyRuntime`.
    pub runtime: u64,
    /// Its offsets, with the slot.
    pub offsets: Offsets,
}

/// A thread as CPython knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Address of its `PyThreadState`.
    pub state: u64,
    /// What `pthread_self()` gave; with glibc its `fsbase`.
    pub id: u64,
}

/// Why the frames of a CPython cannot be walked. The texts are for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It has not come up, or is not to be read.
    NotYet(String),
    /// It is of a kind that is not known.
    Never(String),
}

/// Looks for CPython. `Ok(None)`: there is none. `Err`: there is, but its frames cannot be
/// walked, and why.
pub fn find(memory: &Memory, files: &[LoadedFile]) -> Result<Option<Found>, Unfit> {
    for file in files.iter().filter(|file| may_be_python(&file.name)) {
        if let Some(symbols) = Symbols::of(file) {
            if Arch::HERE != Arch::X86_64 {
                return Err(Unfit::Never("Python functions are walked on x86-64 alone".to_owned()));
            }
            return symbols.examine(memory, file).map(Some);
        }
    }
    Ok(None)
}

/// CPython is in a library of its own or in the program itself.
fn may_be_python(name: &str) -> bool {
    let file_name = name.rsplit('/').next().unwrap_or(name);
    file_name.contains("libpython") || !file_name.contains(".so")
}

struct Symbols {
    runtime: Option<u64>,
    version: Option<u64>,
}

impl Symbols {
    /// `None`: no CPython in this file.
    fn of(file: &LoadedFile) -> Option<Self> {
        let content = regular(&file.path)?;
        let elf = Elf::open(&content)?;
        let [runtime, version, initialize] =
            elf.symbols(["_PyRuntime", "Py_Version", "Py_Initialize"]);
        runtime.or(initialize)?;
        let bias = elf.bias(file.start, file.offset)?;
        let load = |address: u64| address.wrapping_add(bias);
        Some(Self { runtime: runtime.map(load), version: version.map(load) })
    }

    fn examine(&self, memory: &Memory, file: &LoadedFile) -> Result<Found, Unfit> {
        let (Some(runtime), Some(version)) = (self.runtime, self.version) else {
            // `Py_Version` came with 3.11.
            let version = version_in(&file.name).unwrap_or("of an old version");
            return Err(Unfit::Never(layout::too_old(version)));
        };
        let unreadable = || Unfit::NotYet("its memory cannot be read".to_owned());
        let version = memory.half(version).map(Version).ok_or_else(unreadable)?;
        let offsets = layout::of(version, &memory.words(runtime, DEBUG_WORDS));
        let mut offsets = offsets.map_err(Unfit::Never)?;
        offsets.frames.slot = (0..TRIES)
            .find_map(|_| slot(memory, &threads(memory, runtime, &offsets.threads)))
            .ok_or_else(|| {
                Unfit::NotYet(format!("CPython {version}: its threads' states were not found"))
            })?;
        Ok(Found { version, runtime, offsets })
    }
}

/// `3.9` in `/usr/lib/libpython3.9.so.1.0`.
fn version_in(name: &str) -> Option<&str> {
    let (_, tail) = name.rsplit_once("python")?;
    let end = tail.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(tail.len());
    let version = tail[..end].trim_matches('.');
    (!version.is_empty()).then_some(version)
}

/// The threads of all interpreters, as far as the lists can be followed.
#[must_use]
pub fn threads(memory: &Memory, runtime: u64, offsets: &ThreadOffsets) -> Vec<Thread> {
    let head = memory.word(runtime.wrapping_add(offsets.interpreters));
    let interpreters = list(memory, head, offsets.next_interpreter, MAX_INTERPRETERS);
    let heads = interpreters.map(|state| memory.word(state.wrapping_add(offsets.threads)));
    heads
        .flat_map(|head| list(memory, head, offsets.next_thread, MAX_THREADS))
        .take(MAX_THREADS)
        .filter_map(|state| {
            let id = memory.word(state.wrapping_add(offsets.thread_id))?;
            Some(Thread { state, id })
        })
        .collect()
}

/// The members of a linked list; bounded, as a stranger's list may have no end.
fn list(memory: &Memory, head: Option<u64>, next: u64, limit: usize) -> impl Iterator<Item = u64> {
    let present = |member: Option<u64>| member.filter(|address| *address != 0);
    let follow = move |member: &u64| present(memory.word(member.wrapping_add(next)));
    std::iter::successors(present(head), follow).take(limit)
}

/// The offset from `fsbase` at which every thread has its state. A thread can have several,
/// in several interpreters: since 3.12 the slot follows the one that runs, in 3.11 it stays with
/// the first. Extension modules may keep the
/// state in slots of their own, as pybind11 does; those are handed out later and lie higher.
/// Threads that show none are left out: they may be gone, as in a child of fork.
fn slot(memory: &Memory, threads: &[Thread]) -> Option<i32> {
    let mut states: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for thread in threads {
        states.entry(thread.id).or_default().insert(thread.state);
    }
    let slots = states.into_iter().filter_map(|(id, states)| slots_of(memory, id, &states));
    let common = slots.reduce(|common, slots| common.intersection(&slots).copied().collect())?;
    i32::try_from(common.first()? * 8).ok()
}

fn slots_of(memory: &Memory, fsbase: u64, states: &BTreeSet<u64>) -> Option<BTreeSet<usize>> {
    let words = memory.words(fsbase, SEARCHED_WORDS);
    if words.get(SELF) != Some(&fsbase) {
        return None;
    }
    let holds = |(index, word): (usize, &u64)| states.contains(word).then_some(index);
    let slots: BTreeSet<_> = words.iter().enumerate().filter_map(holds).collect();
    (!slots.is_empty()).then_some(slots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_where_to_look() {
        for name in ["/usr/bin/python3.11", "/usr/lib/libpython3.12.so.1.0", "/usr/sbin/uwsgi"] {
            assert!(may_be_python(name), "{name}");
        }
        for name in ["/lib/libc.so.6", "/usr/lib/python3.11/lib-dynload/_ssl.cpython-311.so"] {
            assert!(!may_be_python(name), "{name}");
        }
        assert_eq!(version_in("/opt/lib/libpython3.9.so.1.0"), Some("3.9"));
        assert_eq!(version_in("/usr/bin/python3.10"), Some("3.10"));
        assert_eq!(version_in("/usr/bin/python2.7"), Some("2.7"));
        assert_eq!(version_in("/usr/bin/python"), None);
        assert_eq!(version_in("/usr/sbin/uwsgi"), None);
    }

    /// A fake `struct pthread` in this process, boxed so that it stays where it is.
    fn pthread(slots: &[(usize, u64)]) -> Box<[u64; SEARCHED_WORDS]> {
        let mut words = Box::new([0; SEARCHED_WORDS]);
        words[SELF] = address(&words[..]);
        for (index, state) in slots {
            words[*index] = *state;
        }
        words
    }

    fn address(words: &[u64]) -> u64 {
        words.as_ptr().addr() as u64
    }

    #[test]
    fn the_slot_is_the_lowest_that_all_threads_share() {
        let own = Memory::open(std::process::id()).unwrap();
        let (one, two) = (pthread(&[(99, 7), (101, 7), (40, 7)]), pthread(&[(99, 8), (101, 8)]));
        let thread = |state, words: &[u64]| Thread { state, id: address(words) };
        let mut threads = vec![thread(7, &one[..]), thread(8, &two[..])];
        assert_eq!(slot(&own, &threads), Some(99 * 8));
        threads.push(Thread { state: 9, id: 0 });
        let empty = pthread(&[]);
        threads.push(thread(9, &empty[..]));
        assert_eq!(slot(&own, &threads), Some(99 * 8), "threads that are gone do not matter");
        let other = pthread(&[(55, 10)]);
        threads.push(thread(10, &other[..]));
        assert_eq!(slot(&own, &threads), None, "they do not agree");
        assert_eq!(slot(&own, &[]), None);
    }

    #[test]
    fn a_list_without_end_is_left() {
        let own = Memory::open(std::process::id()).unwrap();
        let mut ring = Box::new([0_u64; 2]);
        ring[1] = address(&ring[..]);
        assert_eq!(list(&own, Some(ring[1]), 8, 100).count(), 100);
        let offsets = ThreadOffsets {
            interpreters: 8,
            next_interpreter: 8,
            threads: 8,
            next_thread: 8,
            thread_id: 0,
        };
        assert_eq!(threads(&own, ring[1], &offsets).len(), MAX_THREADS);
    }
}

//! Serving the kernel side's stacks, and naming those that reports show.

use std::collections::{HashMap, HashSet};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tcptrace_common::memory::Task;
use tcptrace_common::stack::stack_id;

use crate::errand;
use crate::kernel::stacks::StackMaps;
use crate::lifecycle::stack::{Stack, StackStatus};
use crate::stacks::raw::RawStack;
use crate::stacks::receive::{Stacks, Updates};
use crate::stacks::symbols::Namer;

/// How often what is of no use any more is forgotten.
const SWEEP: Duration = Duration::from_secs(5);
/// How long a report waits for stacks that are on their way.
const PATIENCE: Duration = Duration::from_millis(200);

/// Why there is no stack while the thread cannot be asked.
const HELD_UP: &str = "reading the files of some process takes too long";
/// How long one waits for the thread, which may be asking for files that nobody gives: as long as that
/// takes for two of them.
const LOCK_PATIENCE: Duration = errand::PATIENCE.saturating_mul(2);
/// How often the state is tried for while another has it.
const RETRY: Duration = Duration::from_millis(1);

/// A thread that takes stacks from the kernel side and tells it how to walk them: a process waits
/// for nothing, but may be gone soon, so its memory map is read at once.
pub struct StackService {
    shared: Arc<Shared>,
    wake: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
    namer: Namer,
    /// Stacks with names, by id.
    named: HashMap<u64, Arc<Stack>>,
    /// Whether the thread did not answer in time for this report.
    is_held_up: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    caught_up: Condvar,
}

#[derive(Default)]
struct State {
    stacks: Stacks,
    /// Ids that sockets had in the latest report.
    wanted: HashSet<u64>,
    /// Processes that are likely to open sockets.
    to_meet: Vec<Task>,
    /// Requests to take all that the ring has, made and done.
    asked: u64,
    done: u64,
    is_over: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // A thread that panicked left numbers and maps that are whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same for whoever must not wait long for the thread: it reads files of strangers. `None`: it
    /// is busy all the time.
    fn state_soon(&self) -> Option<MutexGuard<'_, State>> {
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match self.state.try_lock() {
                Ok(state) => return Some(state),
                Err(TryLockError::Poisoned(state)) => return Some(state.into_inner()),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => return None,
                Err(TryLockError::WouldBlock) => thread::sleep(RETRY),
            }
        }
    }
}

impl StackService {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the kernel gives no thread or no descriptor.
    pub fn start(maps: StackMaps) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let wake = Arc::new(event().context("cannot make an eventfd")?);
        let server = Server { maps, shared: Arc::clone(&shared), wake: Arc::clone(&wake) };
        let thread = thread::Builder::new().name("stacks".to_owned());
        let thread = thread.spawn(move || server.run()).context("cannot start a thread")?;
        let namer = Namer::new();
        Ok(Self {
            shared,
            wake,
            thread: Some(thread),
            namer,
            named: HashMap::new(),
            is_held_up: false,
        })
    }

    /// Has processes looked at before they open a socket: then their very first stack is walked in
    /// the kernel, Python functions included. Their pids are those of the initial namespace.
    pub fn meet(&self, tasks: Vec<Task>) {
        if let Some(mut state) = self.shared.state_soon() {
            state.to_meet = tasks;
        }
        wake(&self.wake);
    }

    /// Waits until the stacks that have been sent so far were taken, but not for long.
    pub fn catch_up(&mut self) {
        let state = self.shared.state_soon();
        self.is_held_up = state.is_none();
        let Some(mut state) = state else { return };
        state.asked += 1;
        let asked = state.asked;
        wake(&self.wake);
        let is_behind = |state: &mut State| state.done < asked && !state.is_over;
        // A timeout leaves some stacks out of this report.
        let _ = self.shared.caught_up.wait_timeout_while(state, PATIENCE, is_behind);
    }

    /// The stack with an id, with names.
    pub fn stack(&mut self, id: u64) -> Arc<Stack> {
        if let Some(reason) = why_none(id) {
            return Arc::new(Stack { status: reason, id, ..Stack::default() });
        }
        if let Some(stack) = self.named.get(&id) {
            return Arc::clone(stack);
        }
        let Some(raw) = self.raw(id) else {
            let reason = if self.is_held_up { HELD_UP } else { "it has not arrived" };
            let status = StackStatus::Failed(reason.to_owned());
            return Arc::new(Stack { status, id, ..Stack::default() });
        };
        let stack = Arc::new(Stack { id, ..self.namer.name(&raw) });
        if !raw.is_provisional {
            self.named.insert(id, Arc::clone(&stack));
        }
        stack
    }

    fn raw(&mut self, id: u64) -> Option<RawStack> {
        if self.is_held_up {
            return None;
        }
        let state = self.shared.state_soon();
        self.is_held_up = state.is_none();
        state?.stacks.get(id).cloned()
    }

    /// Says which stacks sockets still have.
    pub fn keep(&mut self, wanted: HashSet<u64>) {
        self.named.retain(|id, _| wanted.contains(id));
        if let Some(mut state) = self.shared.state_soon() {
            state.wanted = wanted;
        }
    }
}

impl Drop for StackService {
    fn drop(&mut self) {
        let state = self.shared.state_soon();
        let is_held_up = state.is_none();
        if let Some(mut state) = state {
            state.is_over = true;
        }
        wake(&self.wake);
        // One that is held up is left behind.
        if let Some(thread) = self.thread.take().filter(|_| !is_held_up) {
            // It has nothing to say; a panic was printed.
            let _ = thread.join();
        }
    }
}

/// Why there is no stack behind an id.
fn why_none(id: u64) -> Option<StackStatus> {
    let failed = |reason: &str| Some(StackStatus::Failed(reason.to_owned()));
    match id {
        stack_id::NONE => Some(StackStatus::default()),
        stack_id::NO_USER => {
            failed("the thread has no stack that can be walked: 32-bit code, or io_uring")
        }
        stack_id::LOST => failed("there was no room for it in the kernel"),
        3..=stack_id::LAST => failed("unknown"),
        _ => None,
    }
}

/// What the thread has.
struct Server {
    maps: StackMaps,
    shared: Arc<Shared>,
    wake: Arc<OwnedFd>,
}

impl Server {
    fn run(mut self) {
        let mut swept = Instant::now();
        loop {
            self.wait();
            let asked = self.shared.state().asked;
            while let Some(record) = self.maps.take_record() {
                self.take(&record);
            }
            self.meet();
            if swept.elapsed() >= SWEEP {
                self.sweep();
                swept = Instant::now();
            }
            let mut state = self.shared.state();
            state.done = asked;
            let is_over = state.is_over;
            drop(state);
            self.shared.caught_up.notify_all();
            if is_over {
                return;
            }
        }
    }

    fn meet(&mut self) {
        let tasks = std::mem::take(&mut self.shared.state().to_meet);
        for task in tasks {
            let updates = self.shared.state().stacks.meet(task.pid, &task);
            self.tell(&updates);
        }
        let updates = self.shared.state().stacks.meet_newcomers();
        self.tell(&updates);
    }

    fn take(&mut self, record: &[u8]) {
        let received = self.shared.state().stacks.receive(record);
        match received {
            Ok(updates) => self.tell(&updates),
            Err(error) => self.maps.damage.note(&error.context("a stack")),
        }
    }

    fn sweep(&mut self) {
        let mut state = self.shared.state();
        let wanted = std::mem::take(&mut state.wanted);
        let updates = state.stacks.sweep(&wanted);
        state.wanted = wanted;
        drop(state);
        self.tell(&updates);
    }

    /// Rules first: a process that is known without its rules would only be missed again.
    fn tell(&mut self, updates: &Updates) {
        let rules = updates.rules.iter().map(|(key, rule)| self.maps.set_rule(*key, *rule));
        let mut told: Vec<Result<()>> = rules.collect();
        for (tgid, entry) in &updates.processes {
            told.push(self.maps.set_process(*tgid, entry.as_ref()));
        }
        told.extend(updates.forget.iter().map(|id| self.maps.forget(*id)));
        for error in told.into_iter().filter_map(Result::err) {
            log::debug!("{error:#}");
        }
    }

    /// Until there is something to do, or it is time to sweep.
    fn wait(&self) {
        let poll = |fd: i32| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut fds = [poll(self.maps.wait_on().as_raw_fd()), poll(self.wake.as_raw_fd())];
        let due = self.shared.state().stacks.next_due();
        let timeout = due.map_or(SWEEP, |due| due.duration_since(Instant::now()).min(SWEEP));
        let timeout = i32::try_from(timeout.as_millis() + 1).unwrap_or(i32::MAX);
        // SAFETY: an array of two, for the whole call. An error is as good as something to do.
        unsafe { libc::poll(fds.as_mut_ptr(), 2, timeout) };
        let mut count = [0_u8; 8];
        // SAFETY: eight bytes to write to, as eventfd(2) wants; it does not block.
        unsafe { libc::read(self.wake.as_raw_fd(), count.as_mut_ptr().cast(), 8) };
    }
}

fn event() -> io::Result<OwnedFd> {
    // SAFETY: integers alone.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just returned it to us as a new descriptor.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn wake(event: &OwnedFd) {
    let one = 1_u64.to_ne_bytes();
    // SAFETY: eight bytes to read from, as eventfd(2) wants. It can only fail when the count is
    // full, and then the thread is awake.
    unsafe { libc::write(event.as_raw_fd(), one.as_ptr().cast(), 8) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_waits_for_long_for_a_thread_that_is_held_up() {
        let shared = Shared::default();
        let held = shared.state();
        let began = Instant::now();
        assert!(shared.state_soon().is_none());
        assert!(began.elapsed() >= LOCK_PATIENCE);
        drop(held);
        assert!(shared.state_soon().is_some());
    }
}

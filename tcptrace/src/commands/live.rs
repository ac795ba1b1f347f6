//! The kernel that runs here as a source of looks.

use std::borrow::Cow;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until};

use crate::kernel::host::Host;
use crate::kernel::load::Kernel;
use crate::kernel::ring::Ring;
use crate::lifecycle::census::Counted;
use crate::lifecycle::event::Transition;
use crate::lifecycle::look::Sight;
use crate::lifecycle::names::{fill_in, fill_in_stacks};
use crate::lifecycle::report::{Degradation, Leak};
use crate::process::Processes;
use crate::source::Source;

use super::census::{Question, take};
use super::clock::monotonic_ns;
use super::look::{Ask, Lookout};
use super::notices::Notices;
use super::stacks::StackService;
use super::stop::Stop;

/// How often records are taken up while a look goes on.
const PAUSE: Duration = Duration::from_millis(2);

/// Sockets of a census that are handed over at once, and how often without anybody taking them.
const BATCH: usize = 1024;
const BATCHES: usize = 64;

/// What is told while sockets are counted.
pub enum Told<'a> {
    /// A transition.
    Transition(&'a Transition),
    /// Some sockets.
    Counted(&'a [Counted]),
}

/// The kernel side, loaded, with all that makes its answers readable.
pub struct Live {
    lookout: Lookout,
    ring: Ring,
    /// `None`: no stacks are wanted, or this host cannot take them.
    stacks: Option<StackService>,
    /// Looked up for the latest look.
    processes: Processes,
    /// What this host lacks.
    degradations: Vec<Degradation>,
}

impl Live {
    /// Begins to read what was loaded and attached. Also returns what this host lacks.
    ///
    /// # Errors
    ///
    /// When the kernel gives no thread or no descriptor.
    pub fn start(mut kernel: Kernel, host: &Host, ask: Ask) -> Result<(Self, Notices)> {
        let ring = kernel.ring()?;
        let stacks = if kernel.may_take_stacks() {
            Some(StackService::start(kernel.stacks()?)?)
        } else {
            None
        };
        let notices = Notices::of(host, &kernel);
        let lookout = Lookout::new(kernel, ask);
        let degradations = notices.all().to_vec();
        let live = Self { lookout, ring, stacks, processes: Processes::new(), degradations };
        Ok((live, notices))
    }

    /// The kernel side.
    #[must_use]
    pub fn kernel(&self) -> &Kernel {
        &self.lookout.kernel
    }

    /// Whether stacks are taken.
    #[must_use]
    pub fn takes_stacks(&self) -> bool {
        self.stacks.is_some()
    }

    /// Looks tell from now on that these are lacking.
    pub fn lacks(&mut self, degradations: &[Degradation]) {
        self.degradations = degradations.to_vec();
    }

    /// What has been lost by now: frozen token and count.
    ///
    /// # Errors
    ///
    /// When the counters cannot be read.
    pub fn losses(&mut self) -> Result<Vec<(Cow<'static, str>, u64)>> {
        Ok(self.lookout.kernel.counters()?.losses())
    }

    /// Takes up all records that are there.
    pub fn drain(&mut self, record: impl FnMut(&Transition)) {
        self.ring.drain(record);
    }

    /// Fills in all names, reading records meanwhile: the symbols of a large program take long.
    ///
    /// # Errors
    ///
    /// When the thread for it cannot be had.
    pub fn name(&mut self, leaks: &mut [Leak], record: &mut dyn FnMut(&Transition)) -> Result<()> {
        let Self { processes, stacks, ring, .. } = self;
        while_draining(ring, record, || {
            name_processes(leaks, processes);
            name_stacks(leaks, stacks);
        })
    }

    /// Counts every socket of the host, taking up records meanwhile.
    ///
    /// # Errors
    ///
    /// When the kernel does not answer.
    pub fn census(&mut self, told: &mut dyn FnMut(Told<'_>)) -> Result<()> {
        let Self { lookout, ring, .. } = self;
        let (sender, receiver) = sync_channel::<Vec<Counted>>(BATCHES);
        let mut hear = || {
            ring.drain(|transition| told(Told::Transition(transition)));
            receiver.try_iter().for_each(|batch| told(Told::Counted(&batch)));
        };
        let taken = meanwhile(&mut hear, || {
            let mut batch = Vec::new();
            let question = Question { netns: &[], holders: false, is_wanted: &mut |_| true };
            take(&mut lookout.kernel, question, &mut |socket, _| {
                batch.push(*socket);
                if batch.len() == BATCH {
                    // The other end waits for this thread.
                    let _ = sender.send(std::mem::take(&mut batch));
                }
            })?;
            let _ = sender.send(batch);
            drop(sender);
            Ok(())
        });
        hear();
        taken?
    }

    /// Has ends of mini-sockets told that the kernel side may not tell for long.
    ///
    /// # Errors
    ///
    /// When they cannot be read.
    pub fn settle_ends(&mut self) -> Result<()> {
        self.lookout.kernel.settle_ends()
    }

    /// Waits for the time of the next look, reading records meanwhile; ends early when it is time
    /// to stop.
    ///
    /// # Errors
    ///
    /// When the ring buffer cannot be watched any more, or whatever `record` says.
    pub async fn wait(
        &mut self,
        until: Instant,
        stop: &mut Stop,
        mut record: impl FnMut(&Transition) -> Result<()>,
    ) -> Result<()> {
        let mut is_behind = false;
        loop {
            let tended = sleep(self.lookout.kernel.tend()?);
            tokio::select! {
                biased;
                () = stop.wait() => return Ok(()),
                () = sleep_until(until) => return Ok(()),
                () = yield_now(), if is_behind => {}
                ready = self.ring.ready(), if !is_behind => ready?,
                () = tended, if !is_behind => continue,
            }
            let mut result = Ok(());
            is_behind = self.ring.take_some(|transition| {
                if result.is_ok() {
                    result = record(transition);
                }
            });
            result?;
            if is_behind {
                continue;
            }
            // The kernel wakes only a reader that has caught up, by an interrupt in the midst of the
            // hook: whatever network packets it lets in there go unseen (recursion).
            tokio::select! {
                biased;
                () = stop.wait() => return Ok(()),
                () = sleep(PAUSE) => {}
            }
        }
    }
}

impl Source for Live {
    fn look(&mut self, record: &mut dyn FnMut(&Transition)) -> Result<Option<Sight>> {
        let lookout = &mut self.lookout;
        let mut sight = while_draining(&mut self.ring, record, || lookout.look())??;
        if let Some(stacks) = self.stacks.as_ref().filter(|_| self.lookout.sees_all_processes()) {
            stacks.meet(sight.look.rows.servers());
        }
        self.processes = Processes::new();
        let counters = self.lookout.kernel.counters()?;
        let look = &mut sight.look;
        look.now_ns = monotonic_ns();
        look.wall_ns = look.now_ns.saturating_add(look.question.wall_offset_ns);
        look.events = counters.transitions();
        look.lost = counters.losses();
        look.degradations.clone_from(&self.degradations);
        Ok(Some(sight))
    }

    fn name_processes(&mut self, leaks: &mut [Leak]) {
        name_processes(leaks, &mut self.processes);
    }

    fn name_stacks(&mut self, leaks: &mut [Leak]) {
        name_stacks(leaks, &mut self.stacks);
    }
}

fn name_processes(leaks: &mut [Leak], processes: &mut Processes) {
    fill_in(leaks, &mut |pid, start_ns| processes.details(pid, start_ns).clone());
}

fn name_stacks(leaks: &mut [Leak], stacks: &mut Option<StackService>) {
    if let Some(service) = stacks {
        service.catch_up();
        let wanted = fill_in_stacks(leaks, &mut |id| service.stack(id));
        service.keep(wanted);
    }
}

/// Does some work in a thread of its own and takes up records until it is done: the ring of a busy
/// host is full before a look has come to its end.
fn while_draining<T: Send>(
    ring: &mut Ring,
    record: &mut dyn FnMut(&Transition),
    work: impl FnOnce() -> T + Send,
) -> Result<T> {
    meanwhile(&mut || ring.drain(&mut *record), work)
}

/// Does some work in a thread of its own, and `each` every now and then until it is done.
fn meanwhile<T: Send>(each: &mut dyn FnMut(), work: impl FnOnce() -> T + Send) -> Result<T> {
    thread::scope(|scope| {
        let work = thread::Builder::new().name("look".to_owned()).spawn_scoped(scope, work);
        let work = work.context("cannot start a thread")?;
        while !work.is_finished() {
            each();
            thread::sleep(PAUSE);
        }
        work.join().map_err(|_| anyhow!("the thread that looks panicked"))
    })
}

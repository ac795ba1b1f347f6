//! Work that may never end, done by a thread that can be left behind.
//!
//! What a process has mapped, and where it works, can lie on a file system that another machine or
//! program serves: an NFS server that is down, a FUSE program that does not answer. open(), stat() and
//! read() of such a file wait for ever, and so do reads of a process's arguments or memory where a
//! page of them comes from it (`access_remote_vm`, Linux `mm/memory.c`). So whoever asks about another
//! process waits for a limited time, and does not ask the same again until the thread that was left
//! behind has come back.
//!
//! For a FUSE program that has taken a request and does not answer, the kernel waits without regard to
//! signals (`request_wait_answer`, `fs/fuse/dev.c`): a process with such a thread ends when it does, so
//! [`left_behind`] says of whom it is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long work may take before it is left behind. It is shared among the processes whose work is:
/// each costs less than the one before.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// Most threads that are left behind at once; then nothing is asked about any process.
const THREADS_MAX: usize = 128;

/// What is asked of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Its arguments and environment, and paths below its working directory.
    Arguments,
    /// Its memory map.
    Map,
    /// Its memory.
    Memory,
    /// Its interpreter, in files and memory.
    Interpreter,
    /// The names that it gives to code made at run time.
    PerfMap,
    /// The file with this inode number that it has mapped.
    File(u64),
}

/// It did not end in time, or the same was asked before and has not ended yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldUp;

type Job = Box<dyn FnOnce() + Send>;

/// Threads that wait for work.
static IDLE: Mutex<Vec<Sender<Job>>> = Mutex::new(Vec::new());
/// Threads that were left behind.
static BEHIND: Mutex<Vec<Behind>> = Mutex::new(Vec::new());

/// A thread that was left behind.
#[derive(Debug)]
struct Behind {
    subject: (u32, What),
    has_ended: Arc<AtomicBool>,
}

/// Does work about a process.
///
/// # Errors
///
/// It was left behind, and its answer will be dropped; or it was not begun.
pub fn run<T: Send + 'static>(
    pid: u32,
    what: What,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, HeldUp> {
    Errand::begin(pid, what, work)?.wait()?.ok_or(HeldUp)
}

/// The processes whose work has not ended, each once.
#[must_use]
pub fn left_behind() -> Vec<u32> {
    let mut pids: Vec<u32> = behind().iter().map(|own| own.subject.0).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// Work that is being done, whose answer counts however late it comes.
#[derive(Debug)]
pub struct Errand<T> {
    subject: (u32, What),
    answer: Receiver<T>,
    has_ended: Arc<AtomicBool>,
    /// Gone once it was left behind.
    thread: Option<Sender<Job>>,
}

impl<T: Send + 'static> Errand<T> {
    /// Begins work about a process.
    ///
    /// # Errors
    ///
    /// The same was asked before and has not ended yet, or there is no thread for it.
    pub fn begin(
        pid: u32,
        what: What,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Self, HeldUp> {
        let subject = (pid, what);
        let behind = behind();
        if behind.len() >= THREADS_MAX || behind.iter().any(|own| own.subject == subject) {
            return Err(HeldUp);
        }
        drop(behind);
        let (told, answer) = channel();
        let has_ended = Arc::new(AtomicBool::new(false));
        let end = End(Arc::clone(&has_ended));
        let job: Job = Box::new(move || {
            let _end = end;
            // Whoever asked may not want it any more.
            let _ = told.send(work());
        });
        let thread = lock(&IDLE).pop().map_or_else(start, Ok)?;
        thread.send(job).map_err(|_| HeldUp)?;
        Ok(Self { subject, answer, has_ended, thread: Some(thread) })
    }

    /// The answer, if it comes in time. Asked again later, it is there or not; `None`: there will be
    /// none, because the work panicked.
    ///
    /// # Errors
    ///
    /// Not yet.
    pub fn wait(&mut self) -> Result<Option<T>, HeldUp> {
        let patience = match self.thread {
            Some(_) => PATIENCE / u32::try_from(behind().len() + 1).unwrap_or(u32::MAX),
            None => Duration::ZERO,
        };
        match self.answer.recv_timeout(patience) {
            Ok(answer) => {
                lock(&IDLE).extend(self.thread.take());
                Ok(Some(answer))
            }
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => {
                if self.thread.take().is_some() {
                    let has_ended = Arc::clone(&self.has_ended);
                    lock(&BEHIND).push(Behind { subject: self.subject, has_ended });
                }
                Err(HeldUp)
            }
        }
    }
}

/// Says that work has ended, however it did.
struct End(Arc<AtomicBool>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Those that are still behind.
fn behind() -> MutexGuard<'static, Vec<Behind>> {
    let mut behind = lock(&BEHIND);
    behind.retain(|own| !own.has_ended.load(Ordering::Acquire));
    behind
}

/// A new thread, which ends when its sender is dropped.
fn start() -> Result<Sender<Job>, HeldUp> {
    let (jobs, asked) = channel::<Job>();
    let work = move || asked.into_iter().for_each(|job| job());
    thread::Builder::new().name("errand".to_owned()).spawn(work).map_err(|_| HeldUp)?;
    Ok(jobs)
}

fn lock<T>(mutex: &'static Mutex<T>) -> MutexGuard<'static, T> {
    // A panic while it was held left a vector that is whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    /// No process has it.
    const PID: u32 = 1 << 30;

    #[test]
    fn an_answer_comes_back() {
        for number in 0..100 {
            assert_eq!(run(PID, What::Map, move || number), Ok(number));
        }
    }

    #[test]
    fn what_is_held_up_is_not_asked_again_until_it_ends() {
        let (release, held) = channel::<()>();
        let began = Instant::now();
        let mut late = Errand::begin(PID, What::File(7), move || held.recv().is_err()).unwrap();
        assert_eq!(late.wait(), Err(HeldUp));
        assert!(began.elapsed() < 60 * PATIENCE);
        assert_eq!(run(PID, What::File(7), || 1), Err(HeldUp));
        assert_eq!(run(PID, What::File(8), || 2), Ok(2));
        assert_eq!(run(PID + 1, What::File(7), || 3), Ok(3));
        assert!(left_behind().contains(&PID));
        assert_eq!(late.wait(), Err(HeldUp));
        drop(release);
        while run(PID, What::File(7), || 4) == Err(HeldUp) {
            assert!(began.elapsed() < 60 * PATIENCE, "it was never let in again");
        }
        assert_eq!(late.wait(), Ok(Some(true)));
    }

    #[test]
    fn work_that_panics_has_no_answer() {
        let panic = || std::panic::resume_unwind(Box::new(()));
        assert_eq!(run(PID, What::Memory, panic), Err::<(), _>(HeldUp));
        assert_eq!(run(PID, What::Memory, || 4), Ok(4));
    }
}

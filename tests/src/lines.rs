//! Lines that a child process prints, collected as they come.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::clock::monotonic_ns;
use crate::wait::patiently;

/// One line without its newline, and when it was read (`CLOCK_MONOTONIC`, ns).
#[derive(Clone, Debug)]
pub struct Line {
    /// When the line was read.
    pub at: i64,
    /// What the process printed, raw.
    pub bytes: Vec<u8>,
}

impl Line {
    /// The line as text; bytes that are not UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

#[derive(Default)]
struct State {
    lines: Vec<Line>,
    ended: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lines of one stream. A thread reads until the last writer is gone.
pub struct Lines {
    shared: Arc<Shared>,
}

impl Lines {
    /// Starts to read.
    pub fn of(stream: impl Read + Send + 'static) -> Self {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        std::thread::spawn(move || collect(&writer, stream));
        Self { shared }
    }

    /// Waits until `find` returns something for the lines so far. `None` at the deadline, or when
    /// the stream ended without it.
    pub fn wait<T>(
        &self,
        limit: Duration,
        mut find: impl FnMut(&[Line]) -> Option<T>,
    ) -> Option<T> {
        let end = Instant::now() + patiently(limit);
        let mut state = self.shared.lock();
        loop {
            if let Some(found) = find(&state.lines) {
                return Some(found);
            }
            let left = end.saturating_duration_since(Instant::now());
            if state.ended || left.is_zero() {
                return None;
            }
            let woken = self.shared.changed.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits until every process that could write is gone. `false` at the deadline.
    pub fn wait_end(&self, limit: Duration) -> bool {
        self.wait(limit, |_| None::<()>);
        self.shared.lock().ended
    }

    /// Everything read so far.
    pub fn all(&self) -> Vec<Line> {
        self.after(0)
    }

    /// What came after the first `count` lines.
    pub fn after(&self, count: usize) -> Vec<Line> {
        self.shared.lock().lines.get(count..).unwrap_or_default().to_vec()
    }

    /// Everything read so far as one text, for messages.
    pub fn text(&self) -> String {
        self.all().iter().map(|line| line.text() + "\n").collect()
    }
}

fn collect(shared: &Shared, stream: impl Read) {
    for bytes in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
        shared.lock().lines.push(Line { at: monotonic_ns(), bytes });
        shared.changed.notify_all();
    }
    shared.lock().ended = true;
    shared.changed.notify_all();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_line_and_the_end() {
        let lines = Lines::of(&b"one\ntwo"[..]);
        let second = lines.wait(Duration::from_secs(5), |all| all.get(1).map(Line::text));
        assert_eq!(second.as_deref(), Some("two"));
        assert!(lines.wait_end(Duration::from_secs(5)));
        assert_eq!(lines.wait(Duration::from_secs(5), |all| all.get(2).cloned().map(|_| ())), None);
    }
}

//! One look at the kernel: everything that a report is made from, but for names.

use std::borrow::Cow;

use super::history::History;
use super::leak::{Findings, Question, find};
use super::report::Degradation;
use super::rows::Rows;

/// What one look at the kernel showed, and when. Plain data: the same look gives the same report,
/// whoever asks and whenever.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// The snapshot.
    pub rows: Rows,
    /// What the snapshots before it had shown.
    pub history: History,
    /// What its judgement needs to know besides.
    pub question: Question,
    /// When the trace began, ns, monotonic clock.
    pub started_ns: u64,
    /// When it was done, ns, monotonic clock.
    pub now_ns: u64,
    /// The same moment, ns since 1970.
    pub wall_ns: u64,
    /// Transitions that the kernel side had seen.
    pub events: u64,
    /// What it had lost: frozen token and count, zero counts included.
    pub lost: Vec<(Cow<'static, str>, u64)>,
    /// What was known to be lacking.
    pub degradations: Vec<Degradation>,
}

impl Look {
    /// Judges it, for another least age than it was taken for.
    #[must_use]
    pub fn find(&self, min_age_ns: u64) -> Findings {
        find(&self.rows, &self.history, &Question { min_age_ns, ..self.question })
    }

    /// Leaves out whatever is not in one of these network namespaces, as if their tables alone had
    /// been read; an empty list leaves everything.
    pub fn keep_namespaces(&mut self, wanted: &[u32]) {
        if !wanted.is_empty() {
            self.rows.keep_namespaces(wanted);
        }
    }
}

/// A look and what it shows.
#[derive(Debug)]
pub struct Sight {
    /// The look.
    pub look: Look,
    /// Its leaks; their processes and stacks have no names yet.
    pub findings: Findings,
}

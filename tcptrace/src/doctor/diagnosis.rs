//! What an examination comes to: everything that the outputs print.

use super::finding::{Change, Finding, Severity};
use super::sysctl::Verdict;
use super::sysctl::file::Line;
use crate::lifecycle::report::Degradation;

/// The answer of `doctor`.
#[derive(Clone, Debug, Default)]
pub struct Diagnosis {
    /// When it was made, ns since 1970.
    pub wall_ns: u64,
    /// Time between the two samples, ns.
    pub window_ns: u64,
    /// Kernel release.
    pub kernel: String,
    /// Network namespaces whose sockets were read.
    pub namespaces: u64,
    /// Sockets in them.
    pub sockets: u64,
    /// What was found, the worst first; what looks fine last.
    pub findings: Vec<Finding>,
    /// The network namespace whose settings are judged, by inode number: the own one, or the only
    /// one that was asked for. 0: none.
    pub judged: u32,
    /// Its settings.
    pub verdicts: Vec<Verdict>,
    /// Somebody's advice, line by line, where a file of it was given.
    pub advice: Option<Vec<Line>>,
    /// What could not be seen.
    pub unseen: Vec<Degradation>,
}

impl Diagnosis {
    /// How many findings are of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> u64 {
        self.findings.iter().filter(|finding| finding.severity == severity).count() as u64
    }

    /// Every setting that would help in the namespace whose settings are judged.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        let here = |own: &&Finding| own.netns.is_none_or(|netns| netns == self.judged);
        self.findings.iter().filter(here).flat_map(|own| own.changes.clone()).collect()
    }

    /// Whether anything is a warning or worse.
    #[must_use]
    pub fn is_ill(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity >= Severity::Warning)
    }
}

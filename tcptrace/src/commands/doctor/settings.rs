//! The settings of a network namespace, and what is known of them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use crate::commands::plan::Explained;
use crate::doctor::finding::Change;
use crate::doctor::sysctl::{KernelFacts, Verdict, Word, all, find, judge};
use crate::kernel::host::Host;
use crate::kernel::proc_net::sysctls;
use crate::output::doctor::Subject;

use super::host::{memory_bytes, page_bytes};

/// Shows the size of the hash table of connections, negative in a namespace that shares the host's.
const EHASH: &str = "net.ipv4.tcp_ehash_entries";

/// Values of settings, and what their defaults depend on.
pub struct Settings {
    /// For the defaults.
    pub kernel: KernelFacts,
    values: BTreeMap<String, String>,
}

impl Settings {
    /// Reads all that are known, in the own network namespace.
    pub fn read() -> Self {
        Self::of(sysctls(names()))
    }

    /// From what was read in a namespace.
    pub fn of(values: BTreeMap<String, String>) -> Self {
        let ehash = values.get(EHASH).and_then(|value| value.parse::<i64>().ok());
        let kernel = KernelFacts {
            version: Host::look().version().unwrap_or_default(),
            ehash_entries: ehash.map(i64::unsigned_abs).filter(|entries| *entries > 0),
            memory_bytes: memory_bytes(),
            page_size: page_bytes(),
        };
        Self { kernel, values }
    }

    /// The value of one.
    pub fn value_of(&self, name: &str) -> Option<String> {
        self.values.get(name).cloned()
    }

    /// A verdict on each that this kernel has or had.
    pub fn judge(&self, changes: &[Change]) -> Vec<Verdict> {
        let value = |name: &str| self.values.get(name).map(String::as_str);
        let mut verdicts: Vec<Verdict> =
            all().map(|own| judge(own, value(own.name), &self.kernel, changes)).collect();
        verdicts.sort_by_key(|verdict| match verdict.word {
            Word::Change => 0,
            Word::Reconsider => 1,
            Word::Leave => 2,
            Word::Gone => 3,
            Word::Absent => 4,
        });
        verdicts
    }

    /// What is to be explained, with its value here.
    pub fn subject(&self, explained: &Explained) -> Result<Subject> {
        let name = match explained {
            Explained::Topic(topic) => return Ok(Subject::Topic(topic)),
            Explained::Setting(name) => name,
        };
        let sysctl = find(name).with_context(|| format!("no setting {name}"))?;
        let value = self.values.get(sysctl.name).map(String::as_str);
        Ok(Subject::Setting(judge(sysctl, value, &self.kernel, &[])))
    }
}

/// The names of all that are known, and of what their defaults depend on.
pub fn names() -> impl Iterator<Item = &'static str> {
    all().map(|own| own.name).chain([EHASH])
}

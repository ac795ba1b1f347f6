//! The maps through which stacks come and rules go.

use std::os::fd::{AsFd as _, BorrowedFd};

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::{Array, HashMap, MapData, MapError, RingBuf};
use tcptrace_common::stack::{ProcessEntry, STRANGERS_BUDGET};
use tcptrace_common::unwind::{Rule, RuleKey};

use super::damage::Damage;
use super::plain::Plain;

/// The kernel side of stacks: a ring to read, maps to write.
pub struct StackMaps {
    ring: RingBuf<MapData>,
    processes: HashMap<MapData, u32, Plain<ProcessEntry>>,
    rules: HashMap<MapData, Plain<RuleKey>, Plain<Rule>>,
    seen: HashMap<MapData, u64, u64>,
    /// Where records count that are none.
    pub damage: Damage,
}

impl StackMaps {
    /// Takes the maps, and lets stacks of processes that are not known yet be copied.
    ///
    /// # Errors
    ///
    /// When they were taken before.
    pub fn take(ebpf: &mut Ebpf, damage: Damage) -> Result<Self> {
        let mut map = |name: &str| ebpf.take_map(name).with_context(|| format!("no map {name}"));
        let mut strangers = Array::<_, Plain<ProcessEntry>>::try_from(map("STRANGERS")?)?;
        let full = ProcessEntry { budget: STRANGERS_BUDGET, ..ProcessEntry::default() };
        strangers.set(0, Plain(full), 0).context("cannot have unknown processes copied")?;
        Ok(Self {
            ring: RingBuf::try_from(map("STACKS")?)?,
            processes: HashMap::try_from(map("PROCESSES")?)?,
            rules: HashMap::try_from(map("RULES")?)?,
            seen: HashMap::try_from(map("SEEN")?)?,
            damage,
        })
    }

    /// What to wait on for records.
    #[must_use]
    pub fn wait_on(&self) -> BorrowedFd<'_> {
        self.ring.as_fd()
    }

    /// The next record, copied out of the ring.
    pub fn take_record(&mut self) -> Option<Vec<u8>> {
        self.ring.next().map(|record| record.to_vec())
    }

    /// Sets what is known of a process, or forgets it.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn set_process(&mut self, tgid: u32, entry: Option<&ProcessEntry>) -> Result<()> {
        let done = match entry {
            Some(entry) => self.processes.insert(tgid, Plain(*entry), 0),
            None => gone(self.processes.remove(&tgid)),
        };
        done.context("cannot tell the kernel side of a process")
    }

    /// Sets a rule, or forgets it.
    ///
    /// # Errors
    ///
    /// When the map is full.
    pub fn set_rule(&mut self, key: RuleKey, rule: Option<Rule>) -> Result<()> {
        let done = match rule {
            Some(rule) => self.rules.insert(Plain(key), Plain(rule), 0),
            None => gone(self.rules.remove(&Plain(key))),
        };
        done.context("cannot give the kernel side a rule")
    }

    /// Lets a stack be sent again.
    ///
    /// # Errors
    ///
    /// When the kernel refuses.
    pub fn forget(&mut self, id: u64) -> Result<()> {
        gone(self.seen.remove(&id)).context("cannot have a stack sent again")
    }
}

/// An entry that is not there is as good as one removed.
fn gone(removed: Result<(), MapError>) -> Result<(), MapError> {
    match removed {
        Err(MapError::KeyNotFound) => Ok(()),
        Err(MapError::SyscallError(error))
            if error.io_error.raw_os_error() == Some(libc::ENOENT) =>
        {
            Ok(())
        }
        other => other,
    }
}

//! Where a process belongs, for filters: its cgroup and container. Less than all of [`super::Processes`], because it is asked while events come in.

use std::path::Path;

use super::{cgroup, stat};
use crate::lifecycle::stat::{Stat, TickLength};

/// Looks processes up.
#[derive(Debug)]
pub struct Places {
    ticks: TickLength,
}

/// Where a process belongs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Belonging {
    /// Path in the cgroup hierarchy.
    pub cgroup: Option<String>,
    /// Container id.
    pub container: Option<String>,
}

impl Places {
    /// Reads the clock tick.
    #[must_use]
    pub fn new() -> Self {
        Self { ticks: stat::tick_length() }
    }

    /// Where the process with this id and start on the boot clock, ns, belongs; nothing where it is
    /// gone. The start is compared before and after, so that no other process is taken for it.
    #[must_use]
    pub fn of(&self, pid: u32, start_time_ns: u64) -> Belonging {
        let dir = Path::new("/proc").join(pid.to_string());
        let is_meant = |stat: &Stat| stat.start_ticks == self.ticks.of(start_time_ns);
        if !stat::read(&dir).is_some_and(|before| is_meant(&before)) {
            return Belonging::default();
        }
        let place = cgroup::read(&dir).unwrap_or_default();
        if !stat::read(&dir).is_some_and(|after| is_meant(&after)) {
            return Belonging::default();
        }
        Belonging { cgroup: place.path, container: place.container }
    }
}

impl Default for Places {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn start_ns(pid: u32) -> u64 {
        let stat = stat::read(&Path::new("/proc").join(pid.to_string())).unwrap();
        stat.start_ticks * stat::tick_length().0
    }

    #[test]
    fn a_child_belongs_where_its_parent_does() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let (own, other) = (std::process::id(), child.id());
        let places = Places::new();
        let parents = places.of(own, start_ns(own));
        let childs = places.of(other, start_ns(other));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(parents.cgroup.is_some());
        assert_eq!(childs.cgroup, parents.cgroup);
    }

    #[test]
    fn another_process_of_the_same_id_is_nobody() {
        let own = std::process::id();
        let other = Places::new().of(own, start_ns(own) + 1_000_000_000_000);
        assert_eq!(other, Belonging::default());
        assert_eq!(Places::new().of(4_194_303, 0), Belonging::default());
    }
}

//! Which processes descend from others, now.

use std::collections::HashMap;
use std::path::Path;

use super::everyone;
use super::stat;

/// These processes, and all that descend from them; a process whose parent has ended descends from
/// nobody that it came from.
#[must_use]
pub fn with_descendants(pids: &[u32]) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for pid in everyone::pids() {
        if let Some(stat) = stat::read(&Path::new("/proc").join(pid.to_string())) {
            children.entry(stat.parent).or_default().push(pid);
        }
    }
    let mut family = pids.to_vec();
    let mut next = 0;
    while let Some(pid) = family.get(next).copied() {
        next += 1;
        let born = children.remove(&pid).unwrap_or_default();
        family.extend(born.into_iter().filter(|child| !pids.contains(child)));
    }
    family
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_child_belongs_to_the_family_and_a_stranger_does_not() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let family = with_descendants(&[std::process::id()]);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(family.contains(&child.id()), "{family:?}");
        assert!(!family.contains(&1));
        assert_eq!(family.iter().filter(|pid| **pid == std::process::id()).count(), 1);
    }
}

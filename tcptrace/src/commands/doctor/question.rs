//! What is asked of the host.

use std::time::Duration;

use crate::kernel::netns::Namespace;

/// What is asked.
pub struct Question<'a> {
    /// Time between the two samples.
    pub window: Duration,
    /// From when on a connection is idle, ns.
    pub min_idle_ns: u64,
    /// From which age on a socket in CLOSE_WAIT counts, ns.
    pub min_age_ns: u64,
    /// Network namespaces that are wanted; empty: all.
    pub netns: &'a [u32],
    /// Names of the sysctls that matter.
    pub sysctls: &'a [&'a str],
}

impl Question<'_> {
    /// Those of some namespaces that are wanted.
    pub fn wanted(&self, mut namespaces: Vec<Namespace>) -> Vec<Namespace> {
        namespaces.retain(|own| self.wants(own.inode));
        namespaces
    }

    /// Whether a namespace is wanted.
    pub fn wants(&self, inode: u32) -> bool {
        self.netns.is_empty() || self.netns.contains(&inode)
    }
}

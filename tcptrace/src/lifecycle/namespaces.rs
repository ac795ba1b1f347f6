//! Network namespaces of a snapshot: which were read, and how to get into the others.

use std::collections::{BTreeMap, HashSet};

use tcptrace_common::row::{NamespaceRow, namespace_way};

/// Most descriptors that are kept for one namespace.
const MOST: usize = 8;

/// A way into a network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The kernel opens it by this number (`struct nsfs_file_handle`) and its inode number.
    Id(u64, u32),
    /// A descriptor of a process for a socket in it: pid, descriptor.
    Socket(u32, u32),
    /// A descriptor of a process for the namespace itself: pid, descriptor.
    File(u32, u32),
}

/// What is known of network namespaces.
#[derive(Clone, Debug, Default)]
pub struct Namespaces {
    read: HashSet<u32>,
    /// Namespaces that surely exist.
    known: HashSet<u32>,
    ways: BTreeMap<u32, Vec<Way>>,
}

impl Namespaces {
    /// Takes up a row.
    pub fn learn(&mut self, row: &NamespaceRow) {
        match row.way {
            namespace_way::LISTED => {
                self.known.insert(row.netns);
                if row.id != 0 {
                    self.add(row.netns, Way::Id(row.id, row.netns));
                }
            }
            namespace_way::SOCKET => self.add_socket(row.netns, row.pid, row.fd),
            namespace_way::FILE => self.add(row.netns, Way::File(row.pid, row.fd)),
            // A way that a newer kernel side knows.
            _ => {}
        }
    }

    /// Takes up a descriptor for a socket.
    pub fn add_socket(&mut self, netns: u32, pid: u32, fd: u32) {
        self.known.insert(netns);
        self.add(netns, Way::Socket(pid, fd));
    }

    fn add(&mut self, netns: u32, way: Way) {
        let ways = self.ways.entry(netns).or_default();
        if ways.len() < MOST {
            ways.push(way);
        }
    }

    /// Notes that a namespace's socket table was read.
    pub fn note_read(&mut self, netns: u32) {
        self.read.insert(netns);
    }

    /// Whether a namespace's socket table was read.
    #[must_use]
    pub fn is_read(&self, netns: u32) -> bool {
        self.read.contains(&netns)
    }

    /// How many socket tables were read.
    #[must_use]
    pub fn count_read(&self) -> usize {
        self.read.len()
    }

    /// Namespaces whose socket tables were read, in any order.
    pub fn read(&self) -> impl Iterator<Item = u32> {
        self.read.iter().copied()
    }

    /// Namespaces that surely exist, in any order.
    pub fn known(&self) -> impl Iterator<Item = u32> {
        self.known.iter().copied()
    }

    /// Namespaces of which these were read and these surely exist; no way into any is known.
    #[must_use]
    pub fn of(read: impl IntoIterator<Item = u32>, known: impl IntoIterator<Item = u32>) -> Self {
        let (read, known) = (read.into_iter().collect(), known.into_iter().collect());
        Self { read, known, ways: BTreeMap::new() }
    }

    /// Keeps of those that were read and those that were not only the ones in a list.
    pub fn forget_others(&mut self, wanted: &[u32]) {
        self.read.retain(|netns| wanted.contains(netns));
        self.known.retain(|netns| wanted.contains(netns));
    }

    /// Forgets those that were not read and that `later` does not know any more.
    pub fn forget_gone(&mut self, later: &Self) {
        let Self { read, known, .. } = self;
        known.retain(|netns| read.contains(netns) || later.known.contains(netns));
    }

    /// Ways into each namespace that was not read. What a descriptor of the namespace file system
    /// leads to may turn out not to be a network namespace.
    #[must_use]
    pub fn unread(&self) -> BTreeMap<u32, &[Way]> {
        let unread = self.ways.iter().filter(|(netns, _)| !self.is_read(**netns));
        unread.map(|(netns, ways)| (*netns, ways.as_slice())).collect()
    }

    /// Namespaces that surely exist and were not read.
    pub fn missed(&self) -> impl Iterator<Item = u32> {
        self.known.iter().copied().filter(|netns| !self.is_read(*netns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(netns: u32, way: u32, id: u64) -> NamespaceRow {
        NamespaceRow { id, netns, way, pid: 7, fd: 3 }
    }

    #[test]
    fn what_was_not_read_can_be_got_into_by_every_way_that_is_known() {
        let mut namespaces = Namespaces::default();
        namespaces.learn(&row(1, namespace_way::LISTED, 11));
        namespaces.learn(&row(2, namespace_way::LISTED, 12));
        namespaces.learn(&row(2, namespace_way::SOCKET, 0));
        namespaces.note_read(1);
        let expected: &[Way] = &[Way::Id(12, 2), Way::Socket(7, 3)];
        assert_eq!(namespaces.unread(), BTreeMap::from([(2, expected)]));
        assert_eq!(namespaces.missed().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_namespace_of_unknown_type_is_tried_and_not_missed() {
        let mut namespaces = Namespaces::default();
        namespaces.learn(&row(3, namespace_way::FILE, 0));
        assert_eq!(namespaces.unread().len(), 1);
        assert_eq!(namespaces.missed().count(), 0);
    }

    #[test]
    fn without_a_number_a_listed_namespace_has_no_way_and_is_missed() {
        let mut namespaces = Namespaces::default();
        namespaces.learn(&row(4, namespace_way::LISTED, 0));
        assert!(namespaces.unread().is_empty());
        assert_eq!(namespaces.missed().collect::<Vec<_>>(), [4]);
    }
}

//! Ways into network namespaces that no process is in and no mount shows.

use crate::kernel::netns::Namespace;
use crate::lifecycle::namespaces::{Namespaces, Way};

/// Those that were not read and that one of the known ways leads into.
#[must_use]
pub fn unread(namespaces: &Namespaces) -> Vec<Namespace> {
    let unread = namespaces.unread();
    unread.values().filter_map(|ways| ways.iter().find_map(|way| open(*way))).collect()
}

fn open(way: Way) -> Option<Namespace> {
    match way {
        Way::Id(id, inode) => Namespace::of_id(id, inode),
        Way::Socket(pid, fd) => Namespace::of_socket(pid, fd),
        Way::File(pid, fd) => Namespace::of_file(pid, fd),
    }
}

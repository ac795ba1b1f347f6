//! Who holds which sockets: from the kernel side, or without it from `/proc`.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result};

use crate::doctor::facts::Process;
use crate::kernel::census::Descriptors;
use crate::kernel::load::Kernel;
use crate::lifecycle::census::{Decoder, Row};
use crate::lifecycle::namespaces::Namespaces;
use crate::process::everyone::{everyone, socket_inodes};

/// Processes, and which sockets they hold.
#[derive(Default)]
pub struct Held {
    /// Every process with descriptors.
    pub processes: Vec<Process>,
    /// Places in [`Self::processes`] by the inode number of a socket.
    pub by_inode: HashMap<u32, Vec<u32>>,
    /// Network namespaces that descriptors lead to.
    pub namespaces: Namespaces,
}

impl Held {
    /// Looks at all descriptors. `netns`: the namespaces that are wanted; empty: all.
    pub fn look(kernel: Option<&mut Kernel>, netns: &[u32]) -> Result<Self> {
        let mut held = Self { processes: everyone(), ..Self::default() };
        match kernel {
            Some(kernel) => {
                let wanted = held.ask_kernel(kernel, netns)?;
                if !netns.is_empty() {
                    held.keep(&wanted);
                }
            }
            None => held.read_links(),
        }
        Ok(held)
    }

    /// Returns the places of processes that hold a socket in one of the namespaces.
    fn ask_kernel(&mut self, kernel: &mut Kernel, netns: &[u32]) -> Result<HashSet<u32>> {
        let mut wanted = HashSet::new();
        let places = self.processes.iter().zip(0_u32..);
        let places: HashMap<u32, u32> = places.map(|(own, place)| (own.pid, place)).collect();
        let mut decoder = Decoder::default();
        let read = kernel.count_descriptors(Descriptors::All, |bytes| {
            decoder.feed(bytes, |row| match row {
                Row::Namespace(row) => self.namespaces.learn(&row),
                Row::Held(holder, socket) => {
                    self.namespaces.add_socket(socket.netns, holder.task.pid, holder.fd);
                    let Some(place) = places.get(&holder.task.pid) else { return };
                    self.add(*place, socket.inode() as u32);
                    if netns.contains(&socket.netns) {
                        wanted.insert(*place);
                    }
                }
                Row::Socket(_) => {}
            })
        });
        read.context("cannot read the descriptors of processes")?;
        decoder.finish()?;
        Ok(wanted)
    }

    /// Only descriptors of TCP sockets count with the kernel side; here those of all sockets would,
    /// so the number is left unknown.
    fn read_links(&mut self) {
        for place in 0..self.processes.len() {
            for inode in socket_inodes(self.processes[place].pid) {
                self.by_inode.entry(inode).or_default().push(place as u32);
            }
        }
    }

    fn add(&mut self, place: u32, inode: u32) {
        *self.processes[place as usize].sockets.get_or_insert(0) += 1;
        let places = self.by_inode.entry(inode).or_default();
        if !places.contains(&place) {
            places.push(place);
        }
    }

    /// Leaves out the numbers of processes that hold nothing in the namespaces that are wanted; places
    /// stay as they are.
    fn keep(&mut self, wanted: &HashSet<u32>) {
        for (process, place) in self.processes.iter_mut().zip(0_u32..) {
            if !wanted.contains(&place) {
                process.fds = None;
            }
        }
    }
}

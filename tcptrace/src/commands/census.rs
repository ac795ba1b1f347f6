//! Taking a census: every TCP socket of the host, one after the other, none of them kept.
//!
//! Descriptors are read first: they show dead sockets, who holds what, and network namespaces. Then
//! the socket tables. A connection that ends in between is in neither; one that is in both was
//! opened anew and is one socket with another cookie.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result};

use crate::kernel::census::Descriptors;
use crate::kernel::load::Kernel;
use crate::kernel::netns::{self, Namespace};
use crate::lifecycle::census::{Counted, Decoder, Holders, Process, Row};
use crate::lifecycle::namespaces::Namespaces;

use super::namespaces::unread;

/// What is asked.
pub struct Question<'a> {
    /// Network namespaces that are wanted; empty: all.
    pub netns: &'a [u32],
    /// Whether it matters who holds a socket.
    pub holders: bool,
    /// Whether a process is wanted; asked once for each.
    pub is_wanted: &'a mut (dyn FnMut(&Process) -> bool + Send),
}

/// Takes each socket that is counted, with what is known of holders by then: all, where they
/// matter.
pub type Each<'a> = &'a mut (dyn FnMut(&Counted, &Holders) + Send);

/// What there is to know besides the sockets.
#[derive(Debug, Default)]
pub struct Census {
    /// Who holds sockets.
    pub holders: Holders,
    /// Sockets of connections of MPTCP; they are not given to [`Each`].
    pub mptcp: u64,
    /// Network namespaces that were read.
    pub namespaces: u64,
    /// Network namespaces that are wanted and could not be read; of their sockets those are counted
    /// that a process holds.
    pub namespaces_unread: u64,
}

/// Gives `each` every TCP socket once: the full ones, mini-sockets, and those that are dead.
///
/// # Errors
///
/// When the kernel does not answer.
pub fn take<'a>(kernel: &mut Kernel, question: Question<'a>, each: Each<'a>) -> Result<Census> {
    let mut taking = Taking {
        question,
        each,
        census: Census::default(),
        namespaces: Namespaces::default(),
        dead: HashMap::new(),
        unheld: Vec::new(),
    };
    taking.descriptors(kernel)?;
    taking.tables(kernel, netns::all())?;
    let hidden = unread(&taking.namespaces);
    taking.tables(kernel, hidden)?;
    taking.look_again(kernel)?;
    taking.finish();
    Ok(taking.census)
}

struct Taking<'a> {
    question: Question<'a>,
    each: Each<'a>,
    census: Census,
    namespaces: Namespaces,
    dead: HashMap<u64, Counted>,
    /// Sockets that a process may hold and none was seen to.
    unheld: Vec<Counted>,
}

impl Taking<'_> {
    fn descriptors(&mut self, kernel: &mut Kernel) -> Result<()> {
        let which = if self.question.holders { Descriptors::All } else { Descriptors::Dead };
        read_descriptors(kernel, which, |row| match row {
            Row::Namespace(row) => self.namespaces.learn(&row),
            Row::Held(holder, socket) => {
                self.namespaces.add_socket(socket.netns, holder.task.pid, holder.fd);
                if !is_wanted(self.question.netns, socket.netns) {
                    return;
                }
                if self.question.holders {
                    let holders = &mut self.census.holders;
                    holders.note(&holder.task, &socket, self.question.is_wanted);
                }
                if socket.is_dead() {
                    self.dead.entry(socket.cookie()).or_insert(socket);
                }
            }
            Row::Socket(_) => {}
        })
    }

    fn tables(&mut self, kernel: &mut Kernel, mut namespaces: Vec<Namespace>) -> Result<()> {
        namespaces.retain(|own| is_wanted(self.question.netns, own.inode));
        let mut decoder = Decoder::default();
        let read = kernel.count_sockets(&namespaces, |bytes| {
            decoder.feed(bytes, |row| {
                if let Row::Socket(socket) = row {
                    self.meet(socket);
                }
            })
        });
        let read = read.context("cannot count the sockets of a namespace")?;
        decoder.finish()?;
        read.into_iter().for_each(|inode| self.namespaces.note_read(inode));
        Ok(())
    }

    fn meet(&mut self, socket: Counted) {
        if socket.is_of_mptcp() {
            self.census.mptcp += 1;
        } else if self.question.holders
            && socket.may_be_held()
            && !self.census.holders.is_held(&socket)
        {
            self.unheld.push(socket);
        } else {
            (self.each)(&socket, &self.census.holders);
        }
    }

    /// One more look at the descriptors, where it can tell something: who holds a socket that was
    /// opened since the first one or whose descriptor has moved; and of namespaces that could not
    /// be read, which of them are still there, and the sockets that processes hold in them.
    fn look_again(&mut self, kernel: &mut Kernel) -> Result<()> {
        self.census.namespaces = self.namespaces.count_read() as u64;
        let missed = self.namespaces.missed();
        let missed: HashSet<u32> =
            missed.filter(|own| is_wanted(self.question.netns, *own)).collect();
        let unheld: HashSet<u64> = self.unheld.iter().map(Counted::cookie).collect();
        if missed.is_empty() && unheld.is_empty() {
            return Ok(());
        }
        let mut later = Namespaces::default();
        let mut unread: HashMap<u64, Counted> = HashMap::new();
        read_descriptors(kernel, Descriptors::All, |row| match row {
            Row::Namespace(row) => later.learn(&row),
            Row::Held(holder, socket) => {
                let is_unread = missed.contains(&socket.netns) && !socket.is_dead();
                if is_unread && !socket.is_mptcp_itself() {
                    unread.entry(socket.cookie()).or_insert(socket);
                }
                if self.question.holders && (is_unread || unheld.contains(&socket.cookie())) {
                    let holders = &mut self.census.holders;
                    holders.note(&holder.task, &socket, self.question.is_wanted);
                }
            }
            Row::Socket(_) => {}
        })?;
        let still_there = later.missed().filter(|own| missed.contains(own));
        self.census.namespaces_unread = still_there.count() as u64;
        for socket in unread.into_values().chain(std::mem::take(&mut self.unheld)) {
            (self.each)(&socket, &self.census.holders);
        }
        Ok(())
    }

    fn finish(&mut self) {
        for socket in std::mem::take(&mut self.dead).into_values() {
            if socket.is_of_mptcp() {
                self.census.mptcp += 1;
            } else {
                (self.each)(&socket, &self.census.holders);
            }
        }
    }
}

fn read_descriptors(
    kernel: &mut Kernel,
    which: Descriptors,
    mut each: impl FnMut(Row),
) -> Result<()> {
    let mut decoder = Decoder::default();
    let read = kernel.count_descriptors(which, |bytes| decoder.feed(bytes, &mut each));
    read.context("cannot read the descriptors of processes")?;
    decoder.finish()
}

fn is_wanted(netns: &[u32], inode: u32) -> bool {
    netns.is_empty() || netns.contains(&inode)
}

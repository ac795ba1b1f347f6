//! The first sample: what counts, to see how it grows.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::{Context as _, Result};

use crate::commands::namespaces::unread;
use crate::doctor::counters::Counters;
use crate::kernel::census::Descriptors;
use crate::kernel::diag::Diag;
use crate::kernel::load::Kernel;
use crate::kernel::netns::{self, Namespace, tour};
use crate::kernel::proc_net::counters;
use crate::lifecycle::census::{Decoder, Row};
use crate::lifecycle::namespaces::Namespaces;
use crate::process::everyone::everyone;

use super::question::Question;

/// The first sample.
pub struct Before {
    /// When it was taken.
    pub at: Instant,
    /// The own network namespace.
    pub own: u32,
    /// Counters by the namespace's inode number.
    pub counters: HashMap<u32, Counters>,
    /// Connections that waited for accept(), by the listener's inode number.
    pub waited: HashMap<u32, u32>,
    /// Open descriptors by process id and start.
    pub fds: HashMap<(u32, u64), u64>,
}

/// Takes it. `kernel` knows of namespaces to which no process and no mount leads.
///
/// # Errors
///
/// When the kernel does not answer.
pub fn first_sample(question: &Question<'_>, kernel: Option<&mut Kernel>) -> Result<Before> {
    let ways = kernel.map(ways).transpose()?.unwrap_or_default();
    let at = Instant::now();
    let (mut all, mut waited) = (HashMap::new(), HashMap::new());
    let mut namespaces = netns::all();
    let hidden = unread(&ways).into_iter();
    let known: Vec<u32> = namespaces.iter().map(|own| own.inode).collect();
    namespaces.extend(hidden.filter(|own| !known.contains(&own.inode)));
    tour(&question.wanted(namespaces), |namespace, entered| {
        if entered.is_ok() {
            all.insert(namespace.inode, counters());
            // A host without socket diagnosis is noticed at the second sample.
            let _ = Diag::open().and_then(|mut diag| {
                diag.listeners(|own| {
                    waited.insert(own.inode, own.receive_queue);
                })
            });
        }
        Ok(())
    })?;
    let processes = everyone().into_iter();
    let fds = processes.filter_map(|own| Some(((own.pid, own.start_ticks), own.fds?)));
    let own = Namespace::current().map_or(0, |own| own.inode);
    Ok(Before { at, own, counters: all, waited, fds: fds.collect() })
}

/// Network namespaces that the kernel side knows of, and ways into them.
fn ways(kernel: &mut Kernel) -> Result<Namespaces> {
    let mut namespaces = Namespaces::default();
    let mut decoder = Decoder::default();
    let read = kernel.count_descriptors(Descriptors::Dead, |bytes| {
        decoder.feed(bytes, |row| {
            if let Row::Namespace(row) = row {
                namespaces.learn(&row);
            }
        })
    });
    read.context("cannot list network namespaces")?;
    decoder.finish()?;
    Ok(namespaces)
}

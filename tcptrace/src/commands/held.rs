//! Sockets that the filter's processes held when the trace began: nobody saw who had opened them.

use std::collections::HashSet;

use anyhow::{Context as _, Result};
use tcptrace_common::memory::Task;

use crate::kernel::census::Descriptors;
use crate::kernel::load::Kernel;
use crate::lifecycle::census::{Decoder, Row};
use crate::lifecycle::filter::Filter;
use crate::lifecycle::socket::State;

use super::openers::Openers;

/// Their cookies, where the filter has a condition on processes. `pids`: those that are asked for
/// by number, descendants among them; empty: no such condition.
///
/// # Errors
///
/// When the descriptors cannot be read.
pub fn held(kernel: &mut Kernel, filter: &Filter<State>, pids: &[u32]) -> Result<HashSet<u64>> {
    let mut cookies = HashSet::new();
    let mut asked = Openers::new(HashSet::new());
    let mut is_wanted = |task: &Task| {
        (pids.is_empty() || pids.contains(&task.pid)) && asked.want(filter, Some(task), None)
    };
    let mut decoder = Decoder::default();
    let read = kernel.count_descriptors(Descriptors::All, |bytes| {
        decoder.feed(bytes, |row| {
            if let Row::Held(holder, socket) = row
                && socket.state != State::Listen
                && socket.cookie() != 0
                && is_wanted(&holder.task)
            {
                cookies.insert(socket.cookie());
            }
        })
    });
    read.context("cannot read the descriptors of processes")?;
    decoder.finish()?;
    Ok(cookies)
}

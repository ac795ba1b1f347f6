//! Names for the numbers in a report's leaks.

use std::collections::HashSet;

use crate::lifecycle::report::{Holder, Leak, Party};
use crate::process::Processes;

use super::stacks::StackService;

/// Fills in what only the processes themselves can tell.
pub fn fill_in(leaks: &mut [Leak], processes: &mut Processes) {
    for leak in leaks {
        let openers = leak.opener.iter_mut();
        let readers = leak.eof.iter_mut().map(|eof| &mut eof.reader);
        let listeners = leak.listener.iter_mut().filter_map(|own| own.opener.as_mut());
        openers.chain(readers).chain(listeners).for_each(|party| name(party, processes));
        let of_listener = leak.listener.iter_mut().flat_map(|own| own.holders.iter_mut());
        leak.holders.iter_mut().chain(of_listener).for_each(|own| name_holder(own, processes));
    }
}

fn name(party: &mut Party, processes: &mut Processes) {
    let tid = party.tid;
    let named = processes.party(party.pid, party.start_time_ns, &party.comm);
    *party = Party { tid, ..named };
}

fn name_holder(holder: &mut Holder, processes: &mut Processes) {
    let fds = std::mem::take(&mut holder.fds);
    let Party { pid, start_time_ns, ref comm, .. } = holder.party;
    *holder = processes.holder(pid, start_time_ns, comm, fds);
}

/// Fills in the stacks.
pub fn fill_in_stacks(leaks: &mut [Leak], service: &mut StackService) {
    service.catch_up();
    let mut wanted = HashSet::new();
    for leak in leaks {
        let of_eof = leak.eof.iter_mut().map(|eof| &mut eof.stack);
        let of_listener = leak.listener.iter_mut().map(|own| &mut own.listen_stack);
        for stack in of_eof.chain(of_listener).chain([&mut leak.open_stack]) {
            wanted.insert(stack.id);
            *stack = service.stack(stack.id);
        }
    }
    service.keep(wanted);
}

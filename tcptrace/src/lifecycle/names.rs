//! Names for the numbers in leaks: where they belong, whoever knows them.

use std::collections::HashSet;
use std::sync::Arc;

use tcptrace_common::stack::stack_id;

use super::details::Details;
use super::report::{Holder, Leak, Party};
use super::stack::{Stack, StackStatus};
use super::untraced::Untraced;

/// Fills in what only the processes themselves can tell: `details` gives that of a process, by its
/// id and its start on the boot clock, ns.
pub fn fill_in(leaks: &mut [Leak], details: &mut dyn FnMut(u32, u64) -> Details) {
    for leak in leaks {
        let openers = leak.opener.iter_mut();
        let readers = leak.eof.iter_mut().map(|eof| &mut eof.reader);
        let listeners = leak.listener.iter_mut().filter_map(|own| own.opener.as_mut());
        openers.chain(readers).chain(listeners).for_each(|party| name(party, details));
        let of_listener = leak.listener.iter_mut().flat_map(|own| own.holders.iter_mut());
        leak.holders.iter_mut().chain(of_listener).for_each(|own| name_holder(own, details));
    }
}

fn name(party: &mut Party, details: &mut dyn FnMut(u32, u64) -> Details) {
    let details = details(party.pid, party.start_time_ns);
    let named = details.into_party(party.pid, party.start_time_ns, &party.comm);
    *party = Party { tid: party.tid, ..named };
}

fn name_holder(holder: &mut Holder, details: &mut dyn FnMut(u32, u64) -> Details) {
    let details = details(holder.party.pid, holder.party.start_time_ns);
    (holder.fd_used, holder.fd_limit) = (details.fd_used, details.fd_limit);
    let Party { pid, start_time_ns, ref comm, .. } = holder.party;
    holder.party = details.into_party(pid, start_time_ns, comm);
}

/// Fills in the stacks: `stack` gives that with an id. Returns the ids that it was asked for. Where
/// none was taken, the leak itself says why.
pub fn fill_in_stacks(
    leaks: &mut [Leak],
    stack: &mut dyn FnMut(u64) -> Arc<Stack>,
) -> HashSet<u64> {
    let mut wanted = HashSet::new();
    for leak in leaks {
        let of_eof = leak.eof.iter_mut().map(|eof| &mut eof.stack);
        let of_listener = leak.listener.iter_mut().map(|own| &mut own.listen_stack);
        let all = of_eof.chain(of_listener).chain([&mut leak.open_stack]);
        for own in all.filter(|own| own.id != stack_id::NONE) {
            wanted.insert(own.id);
            *own = stack(own.id);
        }
    }
    wanted
}

/// Says of leaks whose stacks nobody wants to see that this is why there are none.
pub fn forgo_stacks(leaks: &mut [Leak]) {
    for leak in leaks {
        let of_listener = leak.listener.iter_mut().map(|own| &mut own.listen_stack);
        for own in of_listener.chain([&mut leak.open_stack]) {
            if own.status == StackStatus::NotTraced(Untraced::Missed) {
                *own = Arc::default();
            }
        }
    }
}

/// Every process in a leak, with what is known of it: the reverse of [`fill_in`].
pub fn processes(leak: &Leak) -> impl Iterator<Item = (&Party, Details)> {
    let openers = leak.opener.iter().chain(leak.eof.iter().map(|eof| &eof.reader));
    let openers = openers.chain(leak.listener.iter().filter_map(|own| own.opener.as_ref()));
    let of_listener = leak.listener.iter().flat_map(|own| &own.holders);
    let holders = leak.holders.iter().chain(of_listener);
    let holders = holders.map(|own| (&own.party, Details::of_holder(own)));
    holders.chain(openers.map(|party| (party, Details::of_party(party))))
}

/// Every stack in a leak: the reverse of [`fill_in_stacks`].
pub fn stacks(leak: &Leak) -> impl Iterator<Item = &Arc<Stack>> {
    let of_eof = leak.eof.iter().map(|eof| &eof.stack);
    let of_listener = leak.listener.iter().map(|own| &own.listen_stack);
    of_eof.chain(of_listener).chain([&leak.open_stack])
}

//! Which processes hold the sockets of a group, and under which descriptors.

use std::collections::BTreeMap;

use super::{list, name};
use crate::lifecycle::report::{Group, Holder, Leak, Party};

/// Descriptors of each process, in the order of [`Group::blamed`].
type Descriptors<'a> = Vec<(&'a Party, Vec<u32>)>;

/// Who holds them, where the group's own line does not say all of it.
pub fn processes(group: &Group, room: usize) -> Vec<String> {
    match holders(group).as_slice() {
        [_] if group.by.is_none() => vec![],
        [] if group.by.is_none() || !group.blamed.is_empty() => vec![],
        [] => vec!["held by no process".to_owned()],
        [(only, _)] => vec![format!("held by {}", name::labelled(only))],
        many => several(group, many, room),
    }
}

/// Whether each socket is held by all of them, or each by one, or something between.
fn several(group: &Group, holders: &[(&Party, usize)], room: usize) -> Vec<String> {
    let (processes, leaks) = (holders.len(), group.leaks.len());
    if group.leaks.iter().all(|leak| leak.holders.len() == processes) {
        let each = if leaks == 1 { "" } else { "each is " };
        let prefix = format!("shared: {each}held by {processes} processes: ");
        return list::lines(room, &prefix, &names(group, holders), ", ");
    }
    let one_each = group.leaks.iter().all(|leak| leak.holders.len() <= 1);
    let prefix = match one_each {
        true => format!("spread over {processes} processes: "),
        false => format!("held by {processes} processes, some by more than one: "),
    };
    let names = names(group, holders);
    let counted = names.iter().zip(holders).map(|(name, (_, count))| format!("{name} ({count})"));
    list::lines(room, &prefix, &counted.collect::<Vec<_>>(), ", ")
}

/// Their names; with what it runs only the first process of a program.
fn names(group: &Group, holders: &[(&Party, usize)]) -> Vec<String> {
    let named = group.blamed.first().filter(|_| group.by.is_none());
    let mut known = vec![named.map(|first| name::program(&first.party))];
    let mut names = Vec::new();
    for (party, _) in holders {
        let program = Some(name::program(party));
        let new = !known.contains(&program);
        names.push(if new { name::labelled(party) } else { name::party(party) });
        known.push(program);
    }
    names
}

/// The processes that hold the sockets, and how many of these each holds.
fn holders(group: &Group) -> Vec<(&Party, usize)> {
    let mut counts: BTreeMap<(u32, u64), usize> = BTreeMap::new();
    for holder in group.leaks.iter().flat_map(|leak| &leak.holders) {
        *counts.entry(name::identity(&holder.party)).or_default() += 1;
    }
    let count = |party| counts.get(&name::identity(party)).copied();
    let blamed = group.blamed.iter().map(|holder| &holder.party);
    blamed.filter_map(|party| Some((party, count(party)?))).collect()
}

/// Descriptor numbers: once where they are the same in each process.
pub fn descriptors(group: &Group, room: usize) -> Option<String> {
    let own = descriptors_by_process(group);
    match own.as_slice() {
        [] => None,
        [(_, fds)] => Some(list::within(room, "fd ", &list::ranges(fds.iter().copied()), ", ")),
        [(_, fds), others @ ..] if others.iter().all(|(_, other)| other == fds) => {
            let room = room.saturating_sub(" in each".len());
            let fds = list::within(room, "fd ", &list::ranges(fds.iter().copied()), ", ");
            Some(format!("{fds} in each"))
        }
        many => {
            let part = |(party, fds): &(&Party, Vec<u32>)| in_process(party, fds);
            Some(list::within(room, "fd ", &many.iter().map(part).collect::<Vec<_>>(), "; "))
        }
    }
}

/// `3-9, 12 in java[26181]`.
fn in_process(party: &Party, fds: &[u32]) -> String {
    const SHORT: usize = 24;
    let fds = list::within(SHORT, "", &list::ranges(fds.iter().copied()), ", ");
    format!("{fds} in {}", name::party(party))
}

fn descriptors_by_process(group: &Group) -> Descriptors<'_> {
    let mut all: BTreeMap<(u32, u64), Vec<u32>> = BTreeMap::new();
    for Holder { party, fds, .. } in group.leaks.iter().flat_map(|leak: &Leak| &leak.holders) {
        all.entry(name::identity(party)).or_default().extend(fds);
    }
    let of = |party: &Party| {
        let mut fds = all.get(&name::identity(party))?.clone();
        fds.sort_unstable();
        fds.dedup();
        Some(fds).filter(|fds| !fds.is_empty())
    };
    let blamed = group.blamed.iter().map(|holder| &holder.party);
    blamed.filter_map(|party| Some((party, of(party)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::fixtures;

    /// Four sockets that each of four processes holds.
    fn gunicorn() -> Group {
        fixtures::servers().groups.remove(1)
    }

    #[test]
    fn some_sockets_of_some_processes_are_counted() {
        let mut group = gunicorn();
        group.leaks[0].holders.truncate(1);
        assert_eq!(
            processes(&group, 200),
            [
                "held by 4 processes, some by more than one: gunicorn[4624] (4), gunicorn[4625] (3), \
             gunicorn[4626] (3), gunicorn[4627] (3)"
            ]
        );
    }

    #[test]
    fn one_socket_is_not_each() {
        let mut group = gunicorn();
        group.leaks.truncate(1);
        assert!(
            processes(&group, 200)[0].starts_with("shared: held by 4 processes: gunicorn[4624],")
        );
    }

    #[test]
    fn another_program_is_named_with_what_it_runs() {
        let mut group = gunicorn();
        for holder in group.leaks.iter_mut().map(|leak| &mut leak.holders[3]) {
            holder.party.label = Some("/srv/other.py".into());
        }
        group.blamed[3].party.label = Some("/srv/other.py".into());
        assert!(
            processes(&group, 200)[0].ends_with("gunicorn[4626], gunicorn[4627] /srv/other.py")
        );
    }

    #[test]
    fn descriptors_are_said_once_where_they_are_the_same() {
        let mut group = gunicorn();
        assert_eq!(descriptors(&group, 92).as_deref(), Some("fd 7-9, 12 in each"));
        for leak in &mut group.leaks {
            leak.holders.truncate(2);
            leak.holders[1].fds = vec![5];
        }
        let differing = "fd 7-9, 12 in gunicorn[4624]; 5 in gunicorn[4625]";
        assert_eq!(descriptors(&group, 92).as_deref(), Some(differing));
    }
}

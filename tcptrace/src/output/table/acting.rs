//! Which processes and threads opened the sockets of a group and read their end.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashSet};

use super::{list, name};
use crate::lifecycle::report::{Group, Holder, Party};

/// Threads of a process that are shown.
const THREADS_MAX: usize = 6;

/// Who opened the sockets, where that is somebody who holds none of them.
pub fn opened(group: &Group, room: usize) -> Option<String> {
    let holders = group.leaks.iter().flat_map(|leak| &leak.holders);
    let holders: HashSet<(u32, u64)> = holders.map(|own| name::identity(&own.party)).collect();
    let openers = group.leaks.iter().filter_map(|leak| leak.opener.as_ref());
    let others = openers.filter(|party| !holders.contains(&name::identity(party)));
    by_process(group, others, "opened by ", room)
}

/// Whose reads delivered end-of-file.
pub fn end_of_file(group: &Group, room: usize) -> Option<String> {
    let readers = group.leaks.iter().filter_map(|leak| leak.eof.as_ref()).map(|eof| &eof.reader);
    by_process(group, readers, "end-of-file read by ", room)
}

/// `, gone` behind a process that has ended.
pub fn gone(party: &Party) -> &'static str {
    if party.gone { ", gone" } else { "" }
}

/// A process and how often each of its threads acted.
struct Actor<'a> {
    party: &'a Party,
    threads: BTreeMap<u32, usize>,
}

/// Each process once, who acted most first.
fn by_process<'a>(
    group: &Group,
    parties: impl Iterator<Item = &'a Party>,
    prefix: &str,
    room: usize,
) -> Option<String> {
    let mut actors: BTreeMap<(u32, u64), Actor<'a>> = BTreeMap::new();
    for party in parties {
        let actor = actors
            .entry(name::identity(party))
            .or_insert_with(|| Actor { party, threads: BTreeMap::new() });
        *actor.threads.entry(party.tid.unwrap_or(party.pid)).or_default() += 1;
    }
    let mut actors: Vec<Actor<'_>> = actors.into_values().collect();
    actors.sort_by_key(|actor| Reverse(actor.count()));
    let items: Vec<String> = actors.iter().map(|actor| actor.line(group)).collect();
    (!items.is_empty()).then(|| list::within(room, prefix, &items, "; "))
}

impl Actor<'_> {
    fn count(&self) -> usize {
        self.threads.values().sum()
    }

    /// `java[26181], threads 26214 (2), 26241 (1)`; the thread that the process began with is not
    /// named where it is the only one.
    fn line(&self, group: &Group) -> String {
        let is_it = |own: &Holder| name::identity(&own.party) == name::identity(self.party);
        let known = group.by.is_none() && group.blamed.iter().any(is_it);
        let name = if known { name::party(self.party) } else { name::labelled(self.party) };
        let count = self.count();
        let threads = match self.threads.keys().collect::<Vec<_>>().as_slice() {
            [only] if **only == self.party.pid => format!(" ({count})"),
            [only] => format!(", thread {only} ({count})"),
            _ => format!(", threads {}", self.threads()),
        };
        format!("{name}{threads}{}", gone(self.party))
    }

    fn threads(&self) -> String {
        let mut threads: Vec<(u32, usize)> =
            self.threads.iter().map(|(tid, count)| (*tid, *count)).collect();
        threads.sort_by_key(|(_, count)| Reverse(*count));
        let shown = threads.iter().take(THREADS_MAX).map(|(tid, count)| format!("{tid} ({count})"));
        let shown = shown.collect::<Vec<_>>().join(", ");
        match threads.len().saturating_sub(THREADS_MAX) {
            0 => shown,
            more => format!("{shown} and {more} more"),
        }
    }
}

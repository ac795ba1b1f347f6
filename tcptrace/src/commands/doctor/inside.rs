//! The second sample: everything of each network namespace.

use std::collections::HashMap;

use anyhow::{Context as _, Result};

use crate::commands::namespaces::unread;
use crate::commands::notices::Notices;
use crate::doctor::facts::Namespace as Seen;
use crate::doctor::tally::Tally;
use crate::kernel::diag::Diag;
use crate::kernel::netns::{self, Namespace, tour};
use crate::kernel::proc_net::{counters, sysctls};

use super::before::Before;
use super::holders::Held;
use super::question::Question;

/// Everything of each namespace, the own one first; those that only descriptors lead to last.
///
/// # Errors
///
/// When the thread that visits them dies.
pub fn namespaces(
    question: &Question<'_>,
    held: &mut Held,
    before: &Before,
    notices: &mut Notices,
) -> Result<Vec<Seen>> {
    let mut seen = Vec::new();
    let mut refused = visit(question, netns::all(), held, before, &mut seen)?;
    let hidden = unread(&held.namespaces);
    refused |= visit(question, hidden, held, before, &mut seen)?;
    let is_missed = held.namespaces.missed().any(|inode| question.wants(inode));
    note_missed(question, refused || is_missed, &seen, notices);
    find_places(&mut seen);
    if seen.iter().any(|own| own.tally.is_none()) {
        notices.add(
            "sockets-unreadable",
            "the sockets of a network namespace cannot be listed (the module tcp_diag is missing?)",
        );
    }
    Ok(seen)
}

/// Whether any of them could not be entered.
fn visit(
    question: &Question<'_>,
    namespaces: Vec<Namespace>,
    held: &mut Held,
    before: &Before,
    seen: &mut Vec<Seen>,
) -> Result<bool> {
    let mut refused = false;
    tour(&question.wanted(namespaces), |namespace, entered| {
        match entered {
            Ok(()) => {
                held.namespaces.note_read(namespace.inode);
                seen.push(inside(question, namespace.inode, before));
            }
            Err(error) => {
                log::debug!("cannot enter namespace {}: {error}", namespace.inode);
                refused = true;
            }
        }
        Ok(())
    })?;
    Ok(refused)
}

/// What a thread in a namespace reads there.
fn inside(question: &Question<'_>, inode: u32, before: &Before) -> Seen {
    let mut seen = Seen {
        inode,
        is_own: inode == before.own,
        before: before.counters.get(&inode).cloned().unwrap_or_default(),
        sysctls: sysctls(question.sysctls.iter().copied()),
        after: counters(),
        ..Seen::default()
    };
    match tally(&seen, question.min_idle_ns) {
        Ok(mut tally) => {
            tally.add_first_sample(&before.waited);
            seen.tally = Some(tally);
        }
        Err(error) => log::debug!("{error:#}"),
    }
    seen
}

fn tally(namespace: &Seen, min_idle_ns: u64) -> Result<Tally> {
    let mut diag = Diag::open()?;
    let mut tally = Tally::default();
    let ports = namespace.ephemeral();
    diag.listeners(|seen| tally.add_listener(seen)).context("cannot list listeners")?;
    diag.others(|seen| tally.add(seen, ports.as_ref(), min_idle_ns))?;
    Ok(tally)
}

/// Namespaces that are wanted or there, and could not be read.
fn note_missed(question: &Question<'_>, missed: bool, seen: &[Seen], notices: &mut Notices) {
    if missed {
        notices.add(
            "namespace-unreadable",
            "there are network namespaces that cannot be entered; nothing is said of them (needs \
             CAP_SYS_ADMIN and CAP_SYS_PTRACE)",
        );
    }
    let is_missing = |inode: &&u32| !seen.iter().any(|own| own.inode == **inode);
    let missing: Vec<String> =
        question.netns.iter().filter(is_missing).map(u32::to_string).collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        notices
            .add("namespace-not-found", &format!("nothing is seen of network namespace {missing}"));
    }
    if seen.iter().any(|own| own.after.is_empty()) {
        notices.add("counters-unreadable", "the counters of a network namespace cannot be read");
    }
    if seen.iter().any(|own| own.sysctls.is_empty()) {
        notices.add("settings-unreadable", "the settings of a network namespace cannot be read");
    }
}

/// Finds a path that leads into each namespace.
fn find_places(seen: &mut [Seen]) {
    let members: HashMap<u32, u32> = netns::members().collect();
    let mounts: HashMap<u32, String> = netns::mounts().collect();
    for namespace in seen {
        let member = members.get(&namespace.inode).map(|pid| format!("/proc/{pid}/ns/net"));
        namespace.place = mounts.get(&namespace.inode).cloned().or(member);
    }
}

//! Gathering the facts: what counts is read twice, what is there once, at the end.

use std::collections::HashMap;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::commands::clock::wall_ns;
use crate::commands::look::Lookout;
use crate::commands::namespaces::unread;
use crate::commands::notices::Notices;
use crate::doctor::counters::Counters;
use crate::doctor::facts::{Facts, Namespace as Seen};
use crate::doctor::tally::Tally;
use crate::kernel::census::Descriptors;
use crate::kernel::diag::Diag;
use crate::kernel::load::Kernel;
use crate::kernel::netns::{self, Namespace, tour};
use crate::kernel::proc_net::{counters, sysctls};
use crate::lifecycle::census::{Decoder, Row};
use crate::lifecycle::names::fill_in;
use crate::lifecycle::namespaces::Namespaces;
use crate::lifecycle::report::Leak;
use crate::process::Processes;
use crate::process::everyone::everyone;

use super::holders::Held;
use super::host;

/// What is asked.
pub struct Question<'a> {
    /// Time between the two samples.
    pub window: Duration,
    /// From when on a connection is idle, ns.
    pub min_idle_ns: u64,
    /// From which age on a socket in CLOSE_WAIT counts, ns.
    pub min_age_ns: u64,
    /// Network namespaces that are wanted; empty: all.
    pub netns: &'a [u32],
    /// Names of the sysctls that matter.
    pub sysctls: &'a [&'a str],
}

/// The first sample.
struct Before {
    at: Instant,
    /// The own network namespace.
    own: u32,
    counters: HashMap<u32, Counters>,
    /// Connections that waited for accept(), by the listener's inode number.
    waited: HashMap<u32, u32>,
    /// Open descriptors by process id and start.
    fds: HashMap<(u32, u64), u64>,
}

/// Looks at the host for as long as the question says.
///
/// # Errors
///
/// When the kernel does not answer.
pub fn gather(
    question: &Question<'_>,
    lookout: Option<Lookout>,
    notices: &mut Notices,
) -> Result<Facts> {
    let mut lookout = lookout;
    let ways = lookout.as_mut().map(|own| ways(&mut own.kernel)).transpose()?.unwrap_or_default();
    let before = first_sample(question, &ways)?;
    let leaks = lookout.as_mut().and_then(|own| leaks(own, notices));
    thread::sleep(question.window.saturating_sub(before.at.elapsed()));
    let kernel = lookout.as_mut().map(|lookout| &mut lookout.kernel);
    let mut held = Held::look(kernel, question.netns)?;
    let namespaces = namespaces(question, &mut held, &before, notices)?;
    let window_ns = u64::try_from(before.at.elapsed().as_nanos()).unwrap_or(u64::MAX);
    for process in &mut held.processes {
        process.fds_before = before.fds.get(&(process.pid, process.start_ticks)).copied();
    }
    let own = own_namespace(question.sysctls, &namespaces);
    Ok(Facts {
        wall_ns: wall_ns(),
        window_ns,
        host: host::look(&own.after, own.sysctls),
        namespaces,
        processes: held.processes,
        holders: held.by_inode,
        leaks,
        min_age_ns: question.min_age_ns,
        min_idle_ns: question.min_idle_ns,
        is_whole_host: question.netns.is_empty(),
        ..Facts::default()
    })
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

fn first_sample(question: &Question<'_>, ways: &Namespaces) -> Result<Before> {
    let at = Instant::now();
    let (mut all, mut waited) = (HashMap::new(), HashMap::new());
    let mut namespaces = netns::all();
    let hidden = unread(ways).into_iter();
    let known: Vec<u32> = namespaces.iter().map(|own| own.inode).collect();
    namespaces.extend(hidden.filter(|own| !known.contains(&own.inode)));
    let namespaces = wanted(question, namespaces);
    tour(&namespaces, |namespace, entered| {
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

fn wanted(question: &Question<'_>, mut namespaces: Vec<Namespace>) -> Vec<Namespace> {
    let netns = question.netns;
    namespaces.retain(|own| netns.is_empty() || netns.contains(&own.inode));
    namespaces
}

/// Leaks with names. Where they cannot be had, everything else can be looked at still.
fn leaks(lookout: &mut Lookout, notices: &mut Notices) -> Option<Vec<Leak>> {
    match lookout.look() {
        Ok(sight) => {
            let mut leaks = sight.findings.leaks;
            let mut processes = Processes::new();
            fill_in(&mut leaks, &mut |pid, start_ns| processes.details(pid, start_ns).clone());
            Some(leaks)
        }
        Err(error) => {
            notices.add("no-leaks", &format!("leaks cannot be looked for: {error:#}"));
            None
        }
    }
}

/// Everything of each namespace, the own one first; those that only descriptors lead to last.
fn namespaces(
    question: &Question<'_>,
    held: &mut Held,
    before: &Before,
    notices: &mut Notices,
) -> Result<Vec<Seen>> {
    let mut seen = Vec::new();
    visit(question, netns::all(), held, before, &mut seen)?;
    let hidden = unread(&held.namespaces);
    visit(question, hidden, held, before, &mut seen)?;
    note_missed(question, held, &seen, notices);
    find_places(&mut seen);
    if seen.iter().any(|own| own.tally.is_none()) {
        notices.add(
            "sockets-unreadable",
            "the sockets of a network namespace cannot be listed (the module tcp_diag is missing?)",
        );
    }
    Ok(seen)
}

fn visit(
    question: &Question<'_>,
    namespaces: Vec<Namespace>,
    held: &mut Held,
    before: &Before,
    seen: &mut Vec<Seen>,
) -> Result<()> {
    tour(&wanted(question, namespaces), |namespace, entered| {
        match entered {
            Ok(()) => {
                held.namespaces.note_read(namespace.inode);
                seen.push(inside(question, namespace.inode, before));
            }
            Err(error) => {
                log::debug!("cannot enter namespace {}: {error}", namespace.inode);
                held.refused = true;
            }
        }
        Ok(())
    })
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

/// What holds for the whole host: read in the own namespace, and what only the first one shows there,
/// should it be among those that were seen.
fn own_namespace(names: &[&str], seen: &[Seen]) -> Seen {
    let mut own = sysctls(names.iter().copied());
    for (name, value) in seen.iter().flat_map(|namespace| &namespace.sysctls) {
        own.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Seen { sysctls: own, after: counters(), ..Seen::default() }
}

/// Namespaces that are wanted or there, and could not be read.
fn note_missed(question: &Question<'_>, held: &Held, seen: &[Seen], notices: &mut Notices) {
    let is_wanted = |inode: &u32| question.netns.is_empty() || question.netns.contains(inode);
    if held.refused || held.namespaces.missed().any(|inode| is_wanted(&inode)) {
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

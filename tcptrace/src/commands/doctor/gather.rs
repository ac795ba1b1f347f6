//! Gathering the facts: what counts is read twice, what is there once, at the end.

use std::collections::BTreeMap;
use std::thread;

use anyhow::Result;

use crate::commands::clock::wall_ns;
use crate::commands::look::Lookout;
use crate::commands::notices::Notices;
use crate::doctor::facts::{Facts, Namespace};
use crate::lifecycle::names::fill_in;
use crate::lifecycle::report::Leak;
use crate::process::Processes;

use super::before::first_sample;
use super::holders::Held;
use super::host;
use super::inside::namespaces;
use super::question::Question;

/// Looks at the host for as long as the question says.
///
/// # Errors
///
/// When the kernel does not answer.
pub fn gather(
    question: &Question<'_>,
    mut lookout: Option<Lookout>,
    notices: &mut Notices,
) -> Result<Facts> {
    let before = first_sample(question, lookout.as_mut().map(|own| &mut own.kernel))?;
    let leaks = lookout.as_mut().and_then(|own| leaks(own, notices));
    thread::sleep(question.window.saturating_sub(before.at.elapsed()));
    let kernel = lookout.as_mut().map(|lookout| &mut lookout.kernel);
    let mut held = Held::look(kernel, question.netns)?;
    let namespaces = namespaces(question, &mut held, &before, notices)?;
    let window_ns = u64::try_from(before.at.elapsed().as_nanos()).unwrap_or(u64::MAX);
    for process in &mut held.processes {
        process.fds_before = before.fds.get(&(process.pid, process.start_ticks)).copied();
    }
    // What all namespaces share is in each.
    let counters = namespaces.first().map(|own| own.after.clone()).unwrap_or_default();
    Ok(Facts {
        wall_ns: wall_ns(),
        window_ns,
        host: host::look(&counters, settings_of_host(&namespaces)),
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

/// The settings that hold for the whole host; some of them only the first namespace shows.
fn settings_of_host(seen: &[Namespace]) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    for (name, value) in seen.iter().flat_map(|namespace| &namespace.sysctls) {
        settings.entry(name.clone()).or_insert_with(|| value.clone());
    }
    settings
}

//! JSON Lines: `state_count` objects, last a `summary`. `docs/json.md` documents each field, and a
//! test fails when it does not.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::IpAddr;

use serde::Serialize;

use crate::lifecycle::census::{By, CensusReport, KeyCounts, KeyName};
use crate::lifecycle::socket::State;
use crate::output::escape::write_line;
use crate::output::units::rfc3339;

/// Version of the objects; it changes when a field changes its meaning or goes.
const VERSION: u32 = 1;

/// How many sockets of a key are in a state.
#[derive(Serialize)]
struct StateCount<'a> {
    r#type: &'static str,
    v: u32,
    time: &'a str,
    state: &'static str,
    dead: bool,
    key: Key<'a>,
    count: u32,
}

/// What sockets were counted by, besides their state.
#[derive(Clone, Copy, Serialize)]
#[serde(untagged)]
enum Key<'a> {
    State {},
    Remote { remote_addr: Option<IpAddr> },
    LocalPort { local_port: Option<u16> },
    Process { pid: Option<u32>, comm: Option<&'a str>, start_time_ns: Option<u64> },
    Netns { netns: u32 },
}

/// The last line of a count.
#[derive(Serialize)]
struct Summary<'a> {
    r#type: &'static str,
    v: u32,
    time: &'a str,
    command: &'static str,
    kernel: &'a str,
    by: &'static str,
    sockets: u64,
    keys: usize,
    keys_shown: usize,
    shared: u64,
    mptcp: u64,
    namespaces: u64,
    namespaces_unread: u64,
    took_ns: u64,
    lost: BTreeMap<&'static str, u64>,
    degradations: Vec<&'a str>,
    checked_at: &'a str,
}

/// Prints one count.
///
/// # Errors
///
/// Whatever `out` fails with.
pub fn json(report: &CensusReport, out: &mut dyn Write) -> io::Result<()> {
    let time = rfc3339(report.checked_at_ns);
    let (shown, _) = report.shown();
    for row in shown {
        for state in states(report, row) {
            let object = StateCount {
                r#type: "state_count",
                v: VERSION,
                time: &time,
                state: state.name(),
                dead: state == State::Close,
                key: Key::of(&row.key),
                count: row.counts.get(state),
            };
            write_line(out, &object)?;
        }
    }
    write_line(out, &Summary::new(report, &time))
}

/// States that have an object. By state those without a socket too: a series does not break off
/// where there is none.
fn states(report: &CensusReport, row: &KeyCounts) -> Vec<State> {
    match report.by {
        By::State => report.states.clone(),
        _ => row.counts.states().collect(),
    }
}

impl<'a> Key<'a> {
    fn of(key: &'a KeyName) -> Self {
        match key {
            KeyName::All => Self::State {},
            KeyName::Remote(remote_addr) => Self::Remote { remote_addr: *remote_addr },
            KeyName::LocalPort(local_port) => Self::LocalPort { local_port: *local_port },
            KeyName::Process(process) => Self::Process {
                pid: process.as_ref().map(|process| process.pid),
                comm: process.as_ref().map(|process| process.comm.as_str()),
                start_time_ns: process.as_ref().map(|process| process.start_time_ns),
            },
            KeyName::Netns(netns) => Self::Netns { netns: *netns },
        }
    }
}

impl<'a> Summary<'a> {
    fn new(report: &'a CensusReport, time: &'a str) -> Self {
        Self {
            r#type: "summary",
            v: VERSION,
            time,
            command: "states",
            kernel: &report.kernel,
            by: report.by.token(),
            sockets: report.total.total(),
            keys: report.keys.len(),
            keys_shown: report.shown().0.len(),
            shared: report.shared,
            mptcp: report.mptcp,
            namespaces: report.namespaces,
            namespaces_unread: report.namespaces_unread,
            took_ns: report.took_ns,
            // Rows come straight from the kernel's own tables: there is nothing to lose.
            lost: BTreeMap::new(),
            degradations: report.degradations.iter().map(|lack| lack.token.as_ref()).collect(),
            checked_at: time,
        }
    }
}

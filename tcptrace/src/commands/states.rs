//! `tcptrace states`.

use std::io::{IsTerminal as _, Write};

use anyhow::{Context as _, Result};
use jiff::tz::TimeZone;
use tokio::time::{Instant, sleep_until};

use crate::kernel::hooks::Group;
use crate::kernel::host::Host;
use crate::kernel::load::{CensusWish, Kernel, Wish};
use crate::kernel::privilege::{Work, keep_for};
use crate::lifecycle::census::{self, By, CensusReport, Counted, Holders, Process, Tally};
use crate::lifecycle::filter::Filter;
use crate::lifecycle::report::Party;
use crate::lifecycle::socket::State;
use crate::output::census::{Screen, Style, json, table};
use crate::process::Processes;

use super::census::{Census, Question, take};
use super::clock::{monotonic_ns, wall_ns};
use super::color;
use super::log;
use super::notices::Notices;
use super::outcome::Outcome;
use super::plan::{Format, StatesPlan, Until};
use super::scope::resolve;
use super::stop::Stop;

/// Counts, once or until the plan says stop.
///
/// # Errors
///
/// What failed, in one sentence.
pub async fn run(plan: &StatesPlan, out: &mut dyn Write) -> Result<Outcome> {
    let filter = resolve(&plan.filter, &plan.netns)?;
    let mut stop = Stop::new(plan.until)?;
    log::to_stderr(plan.verbosity);
    let host = Host::look();
    let kernel = log::load(&host, &wish(plan))?;
    keep_for(Work::States)?;
    let notices = Notices::of(&host, &kernel);
    let mut counter = Counter { plan, filter, kernel, notices, release: host.release };
    let mut printer = Printer::new(plan);
    let mut next = Instant::now();
    stop.count_from(next);
    loop {
        let report = counter.report()?;
        counter.notices.say();
        printer.print(&report, out).context("cannot write the counts")?;
        if stop.is_due() {
            return Ok(Outcome::Done);
        }
        next = (next + plan.interval).max(Instant::now());
        tokio::select! {
            biased;
            () = stop.wait() => {}
            () = sleep_until(next) => {}
        }
    }
}

fn wish(plan: &StatesPlan) -> Wish {
    Wish {
        verbosity: plan.verbosity,
        census: CensusWish { states: State::bits(&plan.states), memory: false },
        groups: Group::STATES.to_vec(),
        ..Wish::default()
    }
}

/// One who counts.
struct Counter<'a> {
    plan: &'a StatesPlan,
    filter: Filter,
    kernel: Kernel,
    notices: Notices,
    release: String,
}

impl Counter<'_> {
    fn report(&mut self) -> Result<CensusReport> {
        let (checked_at_ns, started_ns) = (wall_ns(), monotonic_ns());
        let mut tally = Tally::new(self.plan.by);
        let census = self.count(&mut tally)?;
        let took_ns = monotonic_ns().saturating_sub(started_ns);
        self.note_blind_spots(&census);
        Ok(CensusReport {
            checked_at_ns,
            took_ns,
            by: self.plan.by,
            states: self.states(),
            keys: tally.keys(&census.holders),
            top: self.plan.top,
            total: tally.total(),
            shared: tally.shared(),
            mptcp: census.mptcp,
            namespaces: census.namespaces,
            namespaces_unread: census.namespaces_unread,
            degradations: self.notices.all().to_vec(),
            kernel: self.release.clone(),
        })
    }

    fn count(&mut self, tally: &mut Tally) -> Result<Census> {
        let filter = &self.filter;
        let by_process = filter.is_about_processes();
        let mut processes = filter.needs_process_details().then(Processes::new);
        let mut is_wanted = |process: &Process| {
            let party = match &mut processes {
                Some(known) => known.party(process.pid, process.start_time_ns, &process.comm),
                None => named(process),
            };
            filter.matches_party(&party)
        };
        let mut each = |socket: &Counted, holders: &Holders| {
            if filter.matches_place(&socket.ends, socket.netns)
                && (!by_process || holders.of(socket).next().is_some())
            {
                tally.add(socket, holders);
            }
        };
        let question = Question {
            netns: &filter.netns,
            holders: by_process || self.plan.by == By::Process,
            is_wanted: &mut is_wanted,
        };
        take(&mut self.kernel, question, &mut each)
    }

    fn states(&self) -> Vec<State> {
        let wanted = &self.plan.states;
        census::states().filter(|state| wanted.is_empty() || wanted.contains(state)).collect()
    }

    /// Says what of the host this count could not show.
    fn note_blind_spots(&mut self, census: &Census) {
        if census.mptcp > 0 {
            self.notices.add(
                "mptcp-not-covered",
                "there are connections of MPTCP, which are not counted; `ss -M` lists them",
            );
        }
        if census.namespaces_unread > 0 {
            self.notices.add(
                "namespace-unreadable",
                "there are network namespaces that cannot be entered; of their sockets those are \
                 counted that a process holds (needs CAP_SYS_ADMIN and CAP_SYS_PTRACE)",
            );
        }
    }
}

/// A process by what the kernel said of it.
fn named(process: &Process) -> Party {
    Party {
        pid: process.pid,
        comm: process.comm.clone(),
        start_time_ns: process.start_time_ns,
        ..Party::default()
    }
}

/// One who prints.
enum Printer {
    Json,
    Table(Style, Screen),
}

impl Printer {
    fn new(plan: &StatesPlan) -> Self {
        if plan.output.format == Format::Json {
            return Self::Json;
        }
        let is_terminal = std::io::stdout().is_terminal();
        let style = Style {
            width: if plan.output.wide { usize::MAX } else { Style::DEFAULT_WIDTH },
            color: color::is_wanted(plan.output.color),
            zone: TimeZone::system(),
        };
        let redraws = plan.until != Until::Once && is_terminal;
        Self::Table(style, Screen::new(redraws))
    }

    fn print(&mut self, report: &CensusReport, out: &mut dyn Write) -> std::io::Result<()> {
        match self {
            Self::Json => json(report, out)?,
            Self::Table(style, screen) => screen.show(&table(report, style), out)?,
        }
        out.flush()
    }
}

//! `tcptrace doctor`.

mod before;
mod gather;
mod holders;
mod host;
mod inside;
mod question;
mod settings;

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use jiff::tz::TimeZone;

use crate::doctor::diagnosis::Diagnosis;
use crate::doctor::examine;
use crate::doctor::facts::{Facts, Namespace};
use crate::doctor::sysctl::file::check;
use crate::kernel::hooks::Group;
use crate::kernel::host::Host;
use crate::kernel::load::{CensusWish, Kernel, Wish};
use crate::kernel::netns::inode_of;
use crate::kernel::privilege::{Work, keep_for};
use crate::lifecycle::socket::State;
use crate::output::doctor::{Style, explain, explain_json, json, table};

use self::gather::gather;
use self::question::Question;
use self::settings::{Settings, names};
use super::color;
use super::log;
use super::look::{Ask, Lookout};
use super::notices::Notices;
use super::outcome::Outcome;
use super::plan::{DoctorPlan, Explained, Format};
use super::watch::nanos;

/// A file of settings is no longer than this; sysctl.conf(5) files have some dozens of lines.
const FILE_BYTES: u64 = 1 << 20;

/// Looks, and says what is wrong.
///
/// # Errors
///
/// What failed, in one sentence.
pub fn run(plan: &DoctorPlan, out: &mut dyn Write) -> Result<Outcome> {
    log::to_stderr(plan.verbosity);
    if let Some(subject) = &plan.explain {
        explain_one(plan, subject, out)?;
        return Ok(Outcome::Done);
    }
    let file = plan.sysctl_file.as_deref().map(read_file).transpose()?;
    let (mut diagnosis, settings) = diagnose(plan)?;
    if let Some(file) = file {
        let value_of = |name: &str| settings.value_of(name);
        let changes = diagnosis.changes();
        diagnosis.advice = Some(check(&file, &value_of, &settings.kernel, &changes));
    }
    print(plan, &diagnosis, out).context("cannot write the findings")?;
    Ok(if plan.exit_code && diagnosis.is_ill() { Outcome::Found } else { Outcome::Done })
}

fn diagnose(plan: &DoctorPlan) -> Result<(Diagnosis, Settings)> {
    let netns: Vec<u32> = plan.netns.iter().map(inode_of).collect::<Result<_>>()?;
    let host = Host::look();
    let min_age_ns = nanos(plan.min_age);
    let (lookout, mut notices) = eyes(&host, &netns, min_age_ns);
    keep_for(Work::Doctor)?;
    let sysctls: Vec<&str> = names().collect();
    let question = Question {
        window: plan.window,
        min_idle_ns: nanos(plan.min_idle),
        min_age_ns,
        netns: &netns,
        sysctls: &sysctls,
    };
    let mut facts = gather(&question, lookout, &mut notices)?;
    if !netns.is_empty() && facts.namespaces.is_empty() {
        bail!("nothing can be seen of what --netns names: it is gone, or entering it takes root");
    }
    facts.kernel = host.release;
    facts.unseen = notices.all().to_vec();
    Ok(conclude(facts, &netns))
}

/// The kernel side, where it can be had; without it much can be seen still.
fn eyes(host: &Host, netns: &[u32], min_age_ns: u64) -> (Option<Lookout>, Notices) {
    let wish = Wish {
        census: CensusWish { states: State::bits(&[]), memory: false },
        groups: vec![Group::Snapshots, Group::Census],
        ..Wish::default()
    };
    let kernel = match Kernel::start(host, &wish) {
        Ok(kernel) => kernel,
        Err(error) => {
            let mut notices = Notices::of_host(host);
            let cost = "why sockets leak, dead sockets and network namespaces without a process \
                        stay unknown";
            notices.add("no-kernel-side", &format!("{cost}: {error:#}"));
            return (None, notices);
        }
    };
    let notices = Notices::of(host, &kernel);
    let ask = Ask {
        netns: netns.to_vec(),
        sees_all_processes: host.in_initial_pid_namespace,
        min_age_ns,
    };
    (Some(Lookout::new(kernel, ask)), notices)
}

fn conclude(facts: Facts, netns: &[u32]) -> (Diagnosis, Settings) {
    let (judged, settings) = match judged(&facts, netns) {
        Some(namespace) => (Some(namespace.inode), Settings::of(namespace.sysctls.clone())),
        None => (None, Settings::read()),
    };
    let mut diagnosis = Diagnosis {
        wall_ns: facts.wall_ns,
        window_ns: facts.window_ns,
        namespaces: facts.read_namespaces().count() as u64,
        sockets: facts.read_namespaces().map(|(_, tally)| tally.total()).sum(),
        findings: examine(&facts),
        judged: judged.unwrap_or(0),
        kernel: facts.kernel,
        unseen: facts.unseen,
        ..Diagnosis::default()
    };
    if judged.is_some() {
        diagnosis.verdicts = settings.judge(&diagnosis.changes());
    }
    (diagnosis, settings)
}

/// The namespace whose settings are judged: the own one, or the only one that is wanted.
fn judged<'a>(facts: &'a Facts, netns: &[u32]) -> Option<&'a Namespace> {
    facts.namespaces.iter().find(|own| match netns {
        [only] => own.inode == *only,
        _ => own.is_own,
    })
}

fn read_file(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read as _;
    let cannot = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    // A pipe that nobody writes to would be waited for.
    let mut options = fs::OpenOptions::new();
    let file = options.read(true).custom_flags(libc::O_NONBLOCK).open(path).with_context(cannot)?;
    if !file.metadata().with_context(cannot)?.is_file() {
        bail!("{} is no regular file", path.display());
    }
    file.take(FILE_BYTES + 1).read_to_end(&mut bytes).with_context(cannot)?;
    if bytes.len() as u64 > FILE_BYTES {
        bail!("{} is longer than 1 MiB: that is no file of settings", path.display());
    }
    Ok(bytes)
}

fn style(plan: &DoctorPlan) -> Style {
    Style {
        width: if plan.output.wide { usize::MAX } else { Style::DEFAULT_WIDTH },
        color: color::is_wanted(plan.output.color),
        zone: TimeZone::system(),
    }
}

fn print(plan: &DoctorPlan, diagnosis: &Diagnosis, out: &mut dyn Write) -> std::io::Result<()> {
    match plan.output.format {
        Format::Json => json(diagnosis, out)?,
        _ => out.write_all(table(diagnosis, &style(plan)).as_bytes())?,
    }
    out.flush()
}

fn explain_one(plan: &DoctorPlan, subject: &Explained, out: &mut dyn Write) -> Result<()> {
    let subject = Settings::read().subject(subject)?;
    let written = match plan.output.format {
        Format::Json => explain_json(&subject, out),
        _ => out.write_all(explain(&subject, &style(plan)).as_bytes()),
    };
    written.and_then(|()| out.flush()).context("cannot write the explanation")
}

//! `tcptrace check`.

use std::fs;
use std::io::Write;

use anyhow::{Context as _, Result, anyhow};

use crate::kernel::hooks::{Group, Hook, Status};
use crate::kernel::host::Host;
use crate::kernel::load::{Kernel, Wish};
use crate::kernel::privilege::kept_on;
use crate::kernel::{netns, tracefs};
use crate::lifecycle::ability::{Check, Fact, HookAbility, KeptCapability, Presence};
use crate::output::check::{json, table};

use super::log;
use super::outcome::Outcome;
use super::plan::{CheckPlan, Format};

/// Looks at the host, loads and attaches everything, says what came of it, and lets go.
///
/// # Errors
///
/// After the answer: why `leaks` would not work here.
pub fn run(plan: &CheckPlan, out: &mut dyn Write) -> Result<Outcome> {
    log::to_stderr(plan.verbosity);
    let host = Host::look();
    let wish = Wish { groups: Group::ALL.to_vec(), ..Wish::default() };
    let started = Kernel::start(&host, &wish);
    let check = describe(&host, &started);
    match plan.output.format {
        Format::Json => json(&check, out),
        _ => table(&check, out),
    }
    .and_then(|()| out.flush())
    .context("cannot write the answer")?;
    match check.failure {
        None => Ok(Outcome::Done),
        Some(failure) => Err(anyhow!(failure)),
    }
}

fn describe(host: &Host, started: &Result<Kernel>) -> Check {
    let mut facts = host_facts(host);
    let (hooks, failure) = match started {
        Ok(kernel) => {
            let absent = &kernel.absent_fields;
            facts.push(Fact {
                name: "absent-fields",
                value: if absent.is_empty() { "none".to_owned() } else { absent.join(", ") },
                cost: (!absent.is_empty()).then(|| "what rests on them is unknown".to_owned()),
            });
            (kernel.hooks.iter().map(ability).collect(), None)
        }
        Err(error) => (Vec::new(), Some(format!("{error:#}"))),
    };
    Check { facts, kept: kept(host), hooks, failure }
}

/// What is not given up once everything is attached.
fn kept(host: &Host) -> Vec<KeptCapability> {
    let kept = kept_on(host.version()).map(|kept| KeptCapability {
        name: kept.name,
        held: host.capabilities.is_some_and(|all| kept.is_in(all)),
        kept_by: kept.by.iter().map(|work| work.name()).collect(),
        purpose: kept.purpose,
    });
    kept.collect()
}

fn host_facts(host: &Host) -> Vec<Fact> {
    let fact = |name, value: String, cost: Option<&str>| Fact {
        name,
        value,
        cost: cost.map(str::to_owned),
    };
    let btf = fs::metadata("/sys/kernel/btf/vmlinux").is_ok();
    let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    vec![
        fact("kernel", host.release.clone(), None),
        fact("btf", yes_no(btf), (!btf).then_some("nothing works without CONFIG_DEBUG_INFO_BTF")),
        fact("lockdown", host.lockdown.clone().unwrap_or_else(|| "unknown".to_owned()), None),
        fact(
            "may-load-programs",
            yes_no(host.may_load()),
            (!host.may_load()).then_some("nothing works without root or CAP_BPF and CAP_PERFMON"),
        ),
        fact(
            "may-enter-namespaces",
            yes_no(host.may_enter_namespaces()),
            (!host.may_enter_namespaces())
                .then_some("sockets without a process are seen in the own namespace only"),
        ),
        fact(
            "initial-pid-namespace",
            yes_no(host.in_initial_pid_namespace),
            (!host.in_initial_pid_namespace)
                .then_some("processes outside this pid namespace are invisible"),
        ),
        fact("network-namespaces", netns::all().len().to_string(), None),
        fact(
            "tracefs",
            if tracefs::is_mounted() { "mounted" } else { "mounted privately when needed" }
                .to_owned(),
            None,
        ),
        fact(
            "mptcp",
            "not covered".to_owned(),
            Some("connections of MPTCP are counted and not judged; `ss -M` shows them"),
        ),
    ]
}

fn ability((hook, status): &(&'static Hook, Status)) -> HookAbility {
    let (point, presence) = match status {
        Status::Attached => (hook.point(), Presence::Present),
        Status::Fallback { point, detail } => (*point, Presence::Fallback(detail.clone())),
        Status::Missing(reason) => (hook.point(), Presence::Missing(reason.clone())),
    };
    HookAbility {
        name: hook.name.to_owned(),
        point: point.to_owned(),
        presence,
        purpose: hook.purpose.to_owned(),
        cost: hook.cost.map(str::to_owned),
    }
}

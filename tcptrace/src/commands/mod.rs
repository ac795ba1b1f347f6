//! The subcommands: the only place where kernel, processes and outputs meet.

mod census;
pub mod check;
mod clock;
mod color;
mod doctor;
mod held;
mod hist;
mod leaks;
mod live;
mod log;
mod look;
mod namespaces;
mod notices;
mod openers;
mod outcome;
pub mod plan;
mod record;
mod replay;
mod scope;
mod stacks;
mod states;
mod stop;
mod stream;
mod watch;

use std::io::Write;

use anyhow::Result;

pub use self::outcome::{Outcome, is_closed_pipe};
use self::plan::Plan;

/// Carries out a plan.
///
/// # Errors
///
/// One sentence (in alternate format) that says what failed and what to do.
pub fn run(plan: &Plan, out: &mut dyn Write) -> Result<Outcome> {
    let outcome = carry_out(plan, out);
    notices::say_who_is_left_behind();
    outcome
}

fn carry_out(plan: &Plan, out: &mut dyn Write) -> Result<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match plan {
        Plan::Leaks(plan) => match &plan.replay {
            Some(from) => replay::run(plan, &from.file, out),
            None => runtime.block_on(leaks::run(plan, out)),
        },
        Plan::Hist(plan) => runtime.block_on(hist::run(plan, out)),
        Plan::Stream(plan) => runtime.block_on(stream::run(plan, out)),
        Plan::States(plan) => runtime.block_on(states::run(plan, out)),
        Plan::Record(plan) => runtime.block_on(record::run(plan, out)),
        Plan::Doctor(plan) => doctor::run(plan, out),
        Plan::Check(plan) => check::run(plan, out),
    }
}

//! The project's chores. `cargo xtask --help` lists them.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;

mod as_root;
mod cargo;
mod checks;
mod cli;
mod deny;
mod e2e;
mod fuzz;
mod layers;
mod privilege;
mod run;
mod setup;
mod step;
mod toolchain;
mod vm;

use cli::{Cli, Command};

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            exit_code(&error)
        }
    }
}

fn dispatch(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Setup => setup::for_all(),
        Command::Build { debug } => {
            setup::for_build()?;
            cargo::build_tcptrace(if debug { cargo::Profile::Dev } else { cargo::Profile::Release })
                .map(drop)
        }
        Command::Run { args } => run::run(&args),
        Command::Demo => as_root::demo(),
        Command::Bench { args } => as_root::bench(&args),
        Command::Test { filter } => checks::test(filter.as_deref()),
        Command::Check => checks::check(),
        Command::Fuzz { target, time } => {
            fuzz::run(target.as_deref(), Duration::from_secs(time), fuzz::Seed::Random)
        }
        Command::Deny => deny::check(),
        Command::Vm { bounded: true, .. } => vm::run_bounded(),
        Command::Vm { kernels, filter, .. } => vm::run(&kernels, filter.as_deref()),
        Command::Layers => layers::check_repository(),
    }
}

/// 2 where this machine lacks something that only its owner can give; 1 for any other failure.
fn exit_code(error: &anyhow::Error) -> ExitCode {
    if error.is::<setup::Blocked>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

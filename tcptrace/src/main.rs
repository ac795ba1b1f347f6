//! The program: what was typed becomes a plan, the plan is carried out, the exit status says how
//! that went.

use std::io::{self, BufWriter, Write as _};
use std::process::ExitCode;

use tcptrace::cli::{self, Exit, Stream};
use tcptrace::commands::{self, Outcome, is_closed_pipe};
use tcptrace::lifecycle::text::visible;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()) {
        Err(exit) => leave(&exit),
        Ok(plan) => match commands::run(&plan, &mut BufWriter::new(io::stdout())) {
            Ok(Outcome::Done) => ExitCode::SUCCESS,
            Ok(Outcome::Found) => ExitCode::from(1),
            Err(error) => failed(&error),
        },
    }
}

/// Prints what stands instead of a run: help, version, a usage error.
fn leave(exit: &Exit) -> ExitCode {
    let written = match exit.stream {
        Stream::Stdout => io::stdout().write_all(exit.text.as_bytes()),
        Stream::Stderr => io::stderr().write_all(exit.text.as_bytes()),
    };
    match written {
        Err(error) if exit.status == 0 => failed(&error.into()),
        _ => ExitCode::from(exit.status),
    }
}

/// One line that says what failed. That nobody reads any more (`| head`) is no failure.
fn failed(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    let line = format!("{error:#}").split_whitespace().collect::<Vec<_>>().join(" ");
    let _ = writeln!(io::stderr(), "tcptrace: {}", visible(&line));
    ExitCode::from(2)
}

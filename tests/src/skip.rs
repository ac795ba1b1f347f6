//! Tests that cannot be asked where they run: they pass, and say why they did nothing.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::thread;

use anyhow::{Context as _, Result};

/// Says that the calling test did nothing, and why: on standard output, and in the file
/// `$TCPTRACE_SKIPPED`, where there is one, as `FILE::TEST`, a tab and the reason.
///
/// # Errors
///
/// Where that file cannot be written.
pub fn because(reason: &str) -> Result<()> {
    println!("skipped: {reason}");
    let Some(file) = std::env::var_os("TCPTRACE_SKIPPED") else { return Ok(()) };
    let mut file = OpenOptions::new().create(true).append(true).open(file)?;
    Ok(writeln!(file, "{}\t{reason}", name()?)?)
}

/// The test runner calls a test's thread like the test, and cargo an executable like its file,
/// with a hash behind it.
fn name() -> Result<String> {
    let program = std::env::current_exe()?;
    let program = program.file_stem().context("no name")?.to_string_lossy().into_owned();
    let file = program.rsplit_once('-').map_or(program.as_str(), |(file, _)| file);
    let thread = thread::current();
    Ok(format!("{file}::{}", thread.name().context("no test")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_knows_its_name() {
        assert_eq!(name().unwrap(), "tcptrace_tests::skip::tests::a_test_knows_its_name");
    }
}

//! `cargo xtask vm`: the end-to-end tests on other kernels, each in a virtual machine.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

mod archive;
mod cpio;
mod emulator;
mod guest;
mod kernel;
mod matrix;
mod modules;
mod plan;
mod results;
mod table;

use emulator::Emulator;
use guest::{Answer, Guest, Job};
use kernel::{KERNELS, Kernel, NEWEST, Unpacked};
use matrix::Column;
use plan::{Amount, Boot, Programs};
use results::Test;
use table::Checked;

use crate::cargo;
use crate::{setup, step};

/// The kernels of a bounded run: the oldest that is supported, and the newest.
const BOUNDED: [&str; 2] = ["6.1", NEWEST];

/// Sets up, then runs the tests whose name contains the filter on the kernels with these names, or
/// on all. A run on all also writes down what each kernel has.
pub fn run(names: &[String], filter: Option<&str>) -> Result<()> {
    let kernels = select(names)?;
    setup::for_tests()?;
    let amount = filter.map_or(Amount::All, Amount::Filtered);
    let checked = run_on(&kernels, amount)?;
    if names.is_empty() {
        table::rewrite(&checked)?;
    }
    Ok(())
}

/// What every change must pass, within some minutes.
pub fn run_bounded() -> Result<()> {
    let kernels: Vec<_> = KERNELS.iter().filter(|k| BOUNDED.contains(&k.name)).collect();
    run_on(&kernels, Amount::Bounded).map(drop)
}

fn select(names: &[String]) -> Result<Vec<&'static Kernel>> {
    if names.is_empty() {
        return Ok(KERNELS.iter().collect());
    }
    let find = |name: &String| KERNELS.iter().find(|kernel| kernel.name == name);
    let known = KERNELS.map(|kernel| kernel.name).join(", ");
    let find = |name| find(name).with_context(|| format!("no kernel {name}; there are {known}"));
    names.iter().map(find).collect()
}

/// Runs, prints the matrix, and says of each kernel what it has.
fn run_on(kernels: &[&'static Kernel], amount: Amount<'_>) -> Result<Vec<Checked>> {
    let home = cargo::root().join("target/vm");
    let unpacked: Result<Vec<_>> = kernels.iter().map(|kernel| kernel.unpack(&home)).collect();
    let unpacked = unpacked?;
    let emulator = Emulator::unpack(&home)?;
    let programs = build()?;
    let mut columns = Vec::new();
    let mut checked = Vec::new();
    for (kernel, unpacked) in kernels.iter().zip(&unpacked) {
        let boots = plan::boots(kernel, &programs, amount);
        let run = Run { emulator: &emulator, unpacked, home: home.join("run").join(kernel.name) };
        let (tests, check) = run.all(&boots)?;
        checked.push(Checked::parse(&unpacked.release, &check));
        columns.push(Column { release: unpacked.release.clone(), tests });
    }
    print!("{}", matrix::render(&columns));
    if !matrix::all_passed(&columns) {
        bail!("vm: not everything passed; what the guests said is in {}", home.display());
    }
    Ok(checked)
}

/// The program as it is given to other hosts, static, and the tests.
fn build() -> Result<Programs> {
    step::say("vm", "building a static tcptrace and the tests");
    let tests = cargo::build(&["test", "--package=tcptrace-tests", "--no-run"])?;
    Ok(Programs { tcptrace: cargo::build_static()?, tests: plan::end_to_end(tests) })
}

/// All boots of one kernel.
struct Run<'a> {
    emulator: &'a Emulator,
    unpacked: &'a Unpacked,
    home: PathBuf,
}

impl Run<'_> {
    /// The tests of all boots, and what the first said to `check`.
    fn all(&self, boots: &[Boot<'_>]) -> Result<(Vec<Test>, String)> {
        let (mut tests, mut check) = (Vec::new(), None);
        for boot in boots {
            let name = boot.suite.unwrap_or("tests");
            self.say(&format!("booting {}", boot.parameters));
            let answers = self.boot(boot, &self.home.join(name))?;
            check.get_or_insert_with(|| answers.first().map(|a| a.out.clone()).unwrap_or_default());
            let reasons = fs::read_to_string(self.home.join(name).join("jobs/skipped"));
            let reasons = results::reasons(&reasons.unwrap_or_default());
            for (job, answer) in boot.jobs.iter().zip(&answers) {
                tests.extend(boot.judge(job, answer, &reasons));
            }
        }
        Ok((tests, check.unwrap_or_default()))
    }

    fn boot(&self, boot: &Boot<'_>, home: &Path) -> Result<Vec<Answer>> {
        let guest = Guest {
            emulator: self.emulator,
            kernel: self.unpacked,
            parameters: boot.parameters,
            home: home.to_owned(),
            environment: boot.environment(),
        };
        let ended = |job: &Job, answer: &Answer| {
            let tests = boot.judge(job, answer, &results::Reasons::new());
            if !tests.is_empty() {
                let failed = tests.iter().filter(|test| test.has_failed()).count();
                self.say(&format!("{}: {} ran, {failed} failed", job.name, tests.len()));
            }
        };
        guest.run(&boot.jobs, ended)
    }

    fn say(&self, what: &str) {
        step::say("vm", &format!("{}: {}", self.unpacked.release, what.trim_end()));
    }
}

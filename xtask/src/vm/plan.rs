//! What runs in which guest, and what its answers mean.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::guest::{Answer, Job};
use super::kernel::{Fate, Kernel, NEWEST};
use super::results::{self, Outcome, Reasons, Test};
use crate::cargo::Executable;

/// Tests of a bounded run, as file and filters: every cause and every attribution, one of what is
/// found by a late start, one of each other command, what hooks on functions tell and the ways into
/// namespaces that this machine's own kernel may not need, and what only some kernels do to programs.
const BOUNDED: [(&str, &str); 14] = [
    ("causes_close_wait", "::before"),
    ("causes_dead", "::before"),
    ("never_accepted", "::before"),
    ("holders", "::before a_namespace"),
    ("attribution", "::before"),
    ("ipv6", "read_eof_keep_v6::after"),
    ("stream", "the_client_closes_first"),
    ("hist", "the_same_by_state"),
    // Every state at once lasts a minute, which an emulated machine may take.
    ("states", "ipv6_and_mapped_addresses"),
    ("record", "a_replay_says_what_live_said"),
    ("opened", "functions_where accept_that_waited fast_open_by_sendto"),
    ("mini_sockets", ""),
    ("preemption", ""),
    ("doctor", ""),
];

/// What is asked of a kernel that is locked down with integrity.
const LOCKED_DOWN: (&str, &str) = ("causes_dead", "rst_read");

/// Commands that a kernel may refuse, with their arguments.
const COMMANDS: [(&str, &str); 5] = [
    ("leaks", "leaks --once"),
    ("stream", "stream --duration 1s"),
    ("hist", "hist --duration 1s"),
    ("states", "states"),
    ("record", "record --duration 1s /tmp/refused.rec"),
];

/// The longest that the tests of one file may take in a guest, second tries included.
const TESTS_LIMIT: Duration = Duration::from_secs(1800);
/// The longest that a single command may take there.
const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// Tests at a time: most of them wait most of the time.
const THREADS: u32 = 3;

/// The programs that guests run.
pub struct Programs {
    /// tcptrace, static.
    pub tcptrace: PathBuf,
    /// The tests, one executable a file.
    pub tests: Vec<Executable>,
}

/// How much is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount<'a> {
    /// Every test.
    All,
    /// The tests of the file with this name, or those whose name contains it.
    Filtered(&'a str),
    /// What [`BOUNDED`] names.
    Bounded,
}

/// What a guest is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// To run tests.
    Tests,
    /// To see that each command says in one line, with this word, that it cannot work.
    Refusal(&'static str),
}

/// One boot.
pub struct Boot<'a> {
    /// What belongs together in the matrix, where it is not the test's file.
    pub suite: Option<&'static str>,
    /// For the kernel's command line.
    pub parameters: &'static str,
    /// What the guest runs.
    pub jobs: Vec<Job>,
    purpose: Purpose,
    programs: &'a Programs,
}

/// The boots of a kernel: as it is, then locked down.
pub fn boots<'a>(kernel: &Kernel, programs: &'a Programs, amount: Amount<'_>) -> Vec<Boot<'a>> {
    let boot =
        |suite, parameters, purpose, jobs| Boot { suite, parameters, jobs, purpose, programs };
    let refuse = |suite, parameters, word| {
        boot(Some(suite), parameters, Purpose::Refusal(word), refusals(programs))
    };
    if let Fate::Refuses(word) = kernel.fate {
        return vec![refuse("refusal", "", word)];
    }
    let plain = boot(None, "", Purpose::Tests, tests(programs, amount));
    let is_enough = match amount {
        Amount::All => false,
        Amount::Filtered(_) => true,
        // What a locked kernel forbids does not change from one to the next: one will do.
        Amount::Bounded => kernel.name != NEWEST,
    };
    if is_enough {
        return vec![plain];
    }
    let job = test_job(programs, LOCKED_DOWN);
    let (integrity, confidentiality) = ("lockdown=integrity", "lockdown=confidentiality");
    vec![
        plain,
        boot(Some(integrity), integrity, Purpose::Tests, with_check(programs, job)),
        refuse(confidentiality, confidentiality, "lockdown=confidentiality"),
    ]
}

impl Boot<'_> {
    /// What the answer to a job says of tests; nothing for that of `check`.
    pub fn judge(&self, job: &Job, answer: &Answer, reasons: &Reasons) -> Vec<Test> {
        if job.name == CHECK {
            return Vec::new();
        }
        let mut tests = match self.purpose {
            Purpose::Tests => results::of_suite(&job.name, answer, reasons),
            Purpose::Refusal(word) => vec![refusal(job, answer, word)],
        };
        if let Some(suite) = self.suite {
            tests.iter_mut().for_each(|test| test.suite = suite.to_owned());
        }
        tests
    }

    /// Variables of the guest's jobs.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            (crate::e2e::PROGRAM, self.programs.tcptrace.display().to_string()),
            // Deadlines: the emulated processor is 10 to 30 times slower.
            ("TCPTRACE_PATIENCE", "6".to_owned()),
            ("TCPTRACE_SKIPPED", "/run/jobs/skipped".to_owned()),
            ("RUSTC", crate::cargo::rustc().display().to_string()),
        ]
    }
}

/// The job whose answer becomes a column of the documentation.
pub const CHECK: &str = "check";

fn check(programs: &Programs) -> Job {
    let command = format!("'{}' check -o json", programs.tcptrace.display());
    Job { name: CHECK.to_owned(), limit: COMMAND_LIMIT, command }
}

fn with_check(programs: &Programs, jobs: impl IntoIterator<Item = Job>) -> Vec<Job> {
    std::iter::once(check(programs)).chain(jobs).collect()
}

fn tests(programs: &Programs, amount: Amount<'_>) -> Vec<Job> {
    let all = |filter| programs.tests.iter().map(move |test| job(test, filter)).collect();
    let jobs: Vec<Job> = match amount {
        Amount::All => all(""),
        Amount::Filtered(filter) => match test_job(programs, (filter, "")) {
            Some(job) => vec![job],
            None => all(filter),
        },
        Amount::Bounded => BOUNDED.iter().filter_map(|test| test_job(programs, *test)).collect(),
    };
    with_check(programs, jobs)
}

fn test_job(programs: &Programs, (file, filter): (&str, &str)) -> Option<Job> {
    programs.tests.iter().find(|test| test.target == file).map(|test| job(test, filter))
}

fn job(test: &Executable, filter: &str) -> Job {
    let dir = test.package_dir.display();
    let command = format!(
        "cd '{dir}' && CARGO_MANIFEST_DIR='{dir}' sh /run/try '{}' {THREADS} {filter}",
        test.path.display()
    );
    Job { name: test.target.clone(), limit: TESTS_LIMIT, command }
}

fn refusals(programs: &Programs) -> Vec<Job> {
    let tool = programs.tcptrace.display();
    let jobs = COMMANDS.map(|(name, arguments)| Job {
        name: name.to_owned(),
        limit: COMMAND_LIMIT,
        command: format!("'{tool}' {arguments}"),
    });
    with_check(programs, jobs)
}

/// A refusal is exit status 2, nothing on standard output and one line that says why.
fn refusal(job: &Job, answer: &Answer, word: &str) -> Test {
    let one_line = answer.err.trim_end().lines().count() == 1 && answer.err.contains(word);
    let outcome = if answer.status == Some(2) && answer.out.is_empty() && one_line {
        Outcome::Passed
    } else {
        Outcome::Failed(format!("status {:?}, it said: {}", answer.status, answer.err.trim()))
    };
    Test { suite: String::new(), name: job.name.clone(), outcome }
}

/// Those of the executables that come from a file of end-to-end tests.
pub fn end_to_end(built: Vec<Executable>) -> Vec<Executable> {
    let file = |test: &Executable| -> PathBuf {
        Path::new(&test.package_dir).join("tests").join(&test.target).with_extension("rs")
    };
    built.into_iter().filter(|test| test.is_test && file(test).exists()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: i32, err: &str) -> Answer {
        Answer { status: Some(status), out: String::new(), err: err.to_owned() }
    }

    #[test]
    fn a_refusal_is_one_line_with_the_reason() {
        let job = Job { name: "leaks".to_owned(), limit: COMMAND_LIMIT, command: String::new() };
        let outcome = |answer| refusal(&job, &answer, "too old").outcome;
        assert_eq!(outcome(answer(2, "kernel 5.10 is too old: …\n")), Outcome::Passed);
        assert_ne!(outcome(answer(0, "kernel 5.10 is too old: …\n")), Outcome::Passed);
        assert_ne!(outcome(answer(2, "too old\nand more\n")), Outcome::Passed);
        assert_ne!(outcome(answer(2, "no\n")), Outcome::Passed);
    }
}

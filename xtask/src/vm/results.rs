//! What tests said, read from the output of Rust's test runner.

use std::collections::BTreeMap;

use super::guest::Answer;

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What it says is so.
    Passed,
    /// It is so when it is tried once more, alone; what was not the first time.
    PassedAgain(String),
    /// It could not be asked here; why.
    Skipped(String),
    /// What it says is not so; how that shows.
    Failed(String),
}

/// One test on one kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Test {
    /// The file of tests, or what else belongs together.
    pub suite: String,
    /// Its name there.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// Reasons by `suite::test`, as skipped tests leave them: a line each, name and reason between
/// tabs.
pub type Reasons = BTreeMap<String, String>;

/// Reads the reasons.
pub fn reasons(text: &str) -> Reasons {
    let pairs = text.lines().filter_map(|line| line.split_once('\t'));
    pairs.map(|(test, reason)| (test.to_owned(), reason.to_owned())).collect()
}

/// What stands before the second try of what failed (`try.sh`).
const AGAIN: &str = "\ntried again, alone:\n";

/// The tests of one executable. One more is failed where it ended as it should not.
pub fn of_suite(suite: &str, answer: &Answer, reasons: &Reasons) -> Vec<Test> {
    let (first, second) = match answer.out.split_once(AGAIN) {
        Some((first, second)) => (first, Some(second)),
        None => (answer.out.as_str(), None),
    };
    let tests_in = |out: &str| -> Vec<Test> {
        out.lines().filter_map(|line| test(suite, line, out, reasons)).collect()
    };
    let again = second.map(tests_in).unwrap_or_default();
    let mut tests: Vec<Test> =
        tests_in(first).into_iter().map(|test| test.tried_again(&again)).collect();
    let has_failed = tests.iter().any(Test::has_failed);
    let ended = second.unwrap_or(first).contains("\ntest result: ");
    if !ended || (answer.status != Some(0) && !has_failed) {
        let outcome = Outcome::Failed(unexpected_end(answer));
        tests.push(Test { suite: suite.to_owned(), name: "its end".to_owned(), outcome });
    }
    tests
}

impl Test {
    /// Whether what it says is not so.
    pub fn has_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }

    /// With what the second try showed, where there was one.
    fn tried_again(self, again: &[Self]) -> Self {
        let Outcome::Failed(before) = self.outcome else { return self };
        let second = again.iter().find(|test| test.name == self.name).map(|test| &test.outcome);
        let outcome = match second {
            Some(Outcome::Failed(_)) | None => Outcome::Failed(before),
            Some(_) => Outcome::PassedAgain(before),
        };
        Self { outcome, ..self }
    }
}

/// Reads `test NAME ... ok`, `FAILED` or `ignored`; `out` is all that was printed.
fn test(suite: &str, line: &str, out: &str, reasons: &Reasons) -> Option<Test> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let reason = reasons.get(&format!("{suite}::{name}"));
    let outcome = match (result.split([',', ' ']).next()?, reason) {
        ("ok", None) => Outcome::Passed,
        ("ok", Some(reason)) => Outcome::Skipped(reason.clone()),
        ("ignored", _) => Outcome::Skipped(result.to_owned()),
        _ => Outcome::Failed(complaint(name, out)),
    };
    Some(Test { suite: suite.to_owned(), name: name.to_owned(), outcome })
}

/// What a test printed before it failed.
fn complaint(name: &str, out: &str) -> String {
    let begin = format!("---- {name} stdout ----\n");
    let rest = out.split_once(&begin).map_or("", |(_, rest)| rest);
    let end = rest.find("\n---- ").or_else(|| rest.find("\nfailures:")).unwrap_or(rest.len());
    let said = rest[..end].trim();
    if said.is_empty() { "it did not say why".to_owned() } else { said.to_owned() }
}

fn unexpected_end(answer: &Answer) -> String {
    let how = match answer.status {
        // timeout(1).
        Some(124 | 137) => "it took too long".to_owned(),
        Some(status) => format!("exit status {status}"),
        None => "no end".to_owned(),
    };
    let said = answer.err.lines().last().unwrap_or_default();
    format!("{how}: {said}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUT: &str = "\nrunning 4 tests\ntest a ... ok\ntest m::b ... ok\ntest c ... FAILED\n\
                       test d ... ignored, slow\n\nfailures:\n\n---- c stdout ----\nError: no\n\n\n\
                       failures:\n    c\n\ntest result: FAILED. 2 passed\n";

    fn outcomes(out: &str, status: i32) -> Vec<(String, Outcome)> {
        let answer = Answer { status: Some(status), out: out.to_owned(), err: String::new() };
        let reasons = reasons("s::m::b\tno such hook\nother::a\tno\n");
        of_suite("s", &answer, &reasons).into_iter().map(|t| (t.name, t.outcome)).collect()
    }

    #[test]
    fn each_test_with_its_reason() {
        let failed = Outcome::Failed("Error: no".to_owned());
        assert_eq!(
            outcomes(OUT, 101),
            [
                ("a".to_owned(), Outcome::Passed),
                ("m::b".to_owned(), Outcome::Skipped("no such hook".to_owned())),
                ("c".to_owned(), failed),
                ("d".to_owned(), Outcome::Skipped("ignored, slow".to_owned())),
            ]
        );
    }

    #[test]
    fn what_failed_has_a_second_try() {
        let again = |result: &str| {
            format!(
                "{OUT}tried again, alone:\n\nrunning 1 test\ntest c ... {result}\n\ntest result: x\n"
            )
        };
        let of_c = |result: &str, status| outcomes(&again(result), status)[2].1.clone();
        assert_eq!(of_c("ok", 0), Outcome::PassedAgain("Error: no".to_owned()));
        assert_eq!(of_c("FAILED", 101), Outcome::Failed("Error: no".to_owned()));
        assert_eq!(outcomes(&again("ok"), 0).len(), 4, "each test once");
        let cut = outcomes(&format!("{OUT}tried again, alone:\n\nrunning 1 test\n"), 124);
        assert!(matches!(&cut[2].1, Outcome::Failed(_)), "it never ended");
    }

    #[test]
    fn an_executable_that_does_not_end_has_failed() {
        let cut = outcomes("running 2 tests\ntest a ... ok\n", 124);
        assert_eq!(cut.len(), 2);
        assert!(matches!(&cut[1].1, Outcome::Failed(why) if why.starts_with("it took too long")));
    }
}

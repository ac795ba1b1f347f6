//! What tests said, read from the output of Rust's test runner.

use std::collections::BTreeMap;

use super::guest::Answer;

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What it says is so.
    Passed,
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

/// The tests of one executable. One more is failed where it ended as it should not.
pub fn of_suite(suite: &str, answer: &Answer, reasons: &Reasons) -> Vec<Test> {
    let mut tests: Vec<Test> =
        answer.out.lines().filter_map(|line| test(suite, line, answer, reasons)).collect();
    let has_failed = tests.iter().any(|test| matches!(test.outcome, Outcome::Failed(_)));
    let ended = answer.out.contains("\ntest result: ");
    if !ended || (answer.status != Some(0) && !has_failed) {
        let outcome = Outcome::Failed(unexpected_end(answer));
        tests.push(Test { suite: suite.to_owned(), name: "its end".to_owned(), outcome });
    }
    tests
}

/// Reads `test NAME ... ok`, `FAILED` or `ignored`.
fn test(suite: &str, line: &str, answer: &Answer, reasons: &Reasons) -> Option<Test> {
    let (name, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let reason = reasons.get(&format!("{suite}::{name}"));
    let outcome = match (result.split([',', ' ']).next()?, reason) {
        ("ok", None) => Outcome::Passed,
        ("ok", Some(reason)) => Outcome::Skipped(reason.clone()),
        ("ignored", _) => Outcome::Skipped(result.to_owned()),
        _ => Outcome::Failed(complaint(name, &answer.out)),
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
    fn an_executable_that_does_not_end_has_failed() {
        let cut = outcomes("running 2 tests\ntest a ... ok\n", 124);
        assert_eq!(cut.len(), 2);
        assert!(matches!(&cut[1].1, Outcome::Failed(why) if why.starts_with("it took too long")));
    }
}

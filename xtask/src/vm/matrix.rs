//! The matrix that is printed: what ran against where it ran.

use std::fmt::Write as _;

use super::results::{Outcome, Test};

/// All tests of one kernel.
pub struct Column {
    /// Its release.
    pub release: String,
    /// In the order in which they ran.
    pub tests: Vec<Test>,
}

/// How many ended in which way.
#[derive(Default)]
struct Counts {
    passed: usize,
    again: usize,
    skipped: usize,
    failed: usize,
}

impl Counts {
    fn of<'a>(tests: impl Iterator<Item = &'a Test>) -> Self {
        let mut counts = Self::default();
        for test in tests {
            match test.outcome {
                Outcome::Passed => counts.passed += 1,
                Outcome::PassedAgain(_) => counts.again += 1,
                Outcome::Skipped(_) => counts.skipped += 1,
                Outcome::Failed(_) => counts.failed += 1,
            }
        }
        counts
    }

    fn cell(&self) -> String {
        let parts = [
            (self.passed, "ok"),
            (self.again, "ok at the second try"),
            (self.skipped, "skipped"),
            (self.failed, "FAILED"),
        ];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let text: Vec<_> = parts.map(|(count, what)| format!("{count} {what}")).collect();
        if text.is_empty() { "-".to_owned() } else { text.join(", ") }
    }
}

/// Whether nothing failed.
pub fn all_passed(columns: &[Column]) -> bool {
    Counts::of(columns.iter().flat_map(|column| &column.tests)).failed == 0
}

/// The table, then each test that did not pass, with the reason. What failed is told once more at the
/// end in a line each, as a reason may be long.
pub fn render(columns: &[Column]) -> String {
    let mut rows = vec![header(columns)];
    rows.extend(suites(columns).into_iter().map(|suite| row(suite, columns)));
    rows.push(totals(columns));
    let mut text = table(&rows);
    for column in columns {
        for test in &column.tests {
            let (what, why) = match &test.outcome {
                Outcome::Passed => continue,
                Outcome::PassedAgain(why) => ("ok at the second try", why),
                Outcome::Skipped(why) => ("skipped", why),
                Outcome::Failed(why) => ("FAILED", why),
            };
            // Writing to a string cannot fail.
            let _ =
                writeln!(text, "{}: {what} {}::{}: {why}", column.release, test.suite, test.name);
        }
    }
    columns.iter().for_each(|column| text.push_str(&failures(column)));
    text
}

fn failures(column: &Column) -> String {
    let failed = column.tests.iter().filter(|test| test.has_failed());
    let line =
        |test: &Test| format!("FAILED on {}: {}::{}\n", column.release, test.suite, test.name);
    failed.map(line).collect()
}

fn header(columns: &[Column]) -> Vec<String> {
    let releases = columns.iter().map(|column| column.release.clone());
    std::iter::once(String::new()).chain(releases).collect()
}

fn row(suite: &str, columns: &[Column]) -> Vec<String> {
    let of =
        |column: &Column| Counts::of(column.tests.iter().filter(|test| test.suite == suite)).cell();
    std::iter::once(suite.to_owned()).chain(columns.iter().map(of)).collect()
}

fn totals(columns: &[Column]) -> Vec<String> {
    let of = |column: &Column| Counts::of(column.tests.iter()).cell();
    std::iter::once("all".to_owned()).chain(columns.iter().map(of)).collect()
}

/// In the order in which they first ran.
fn suites(columns: &[Column]) -> Vec<&str> {
    let mut suites: Vec<&str> = Vec::new();
    for test in columns.iter().flat_map(|column| &column.tests) {
        if !suites.contains(&test.suite.as_str()) {
            suites.push(&test.suite);
        }
    }
    suites
}

fn table(rows: &[Vec<String>]) -> String {
    let count = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> =
        (0..count).map(|at| rows.iter().map(|row| row[at].len()).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<_> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(suite: &str, outcome: Outcome) -> Test {
        Test { suite: suite.to_owned(), name: "t".to_owned(), outcome }
    }

    #[test]
    fn what_ran_where() {
        let columns = [
            Column { release: "5.10".to_owned(), tests: vec![test("refusal", Outcome::Passed)] },
            Column {
                release: "6.1".to_owned(),
                tests: vec![
                    test("leaks", Outcome::Passed),
                    test("leaks", Outcome::Skipped("no hook".to_owned())),
                ],
            },
        ];
        let wanted = "         5.10  6.1\nrefusal  1 ok  -\nleaks    -     1 ok, 1 skipped\nall      \
                      1 ok  1 ok, 1 skipped\n6.1: skipped leaks::t: no hook\n";
        assert_eq!(render(&columns), wanted);
        assert!(all_passed(&columns));
    }

    #[test]
    fn a_failure_shows() {
        let tests = vec![test("leaks", Outcome::Failed("no".to_owned()))];
        let columns = [Column { release: "6.1".to_owned(), tests }];
        assert!(!all_passed(&columns));
        assert!(render(&columns).ends_with("6.1: FAILED leaks::t: no\nFAILED on 6.1: leaks::t\n"));
    }
}

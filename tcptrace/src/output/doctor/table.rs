//! For people: what is wrong first, in blocks; then what looks fine, a line each; then settings.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use crate::doctor::diagnosis::Diagnosis;
use crate::doctor::finding::{Culprit, Evidence, Finding, Severity};
use crate::doctor::sysctl::file::Line;
use crate::doctor::sysctl::{Verdict, Word};
use crate::output::cell::{cut, flow, left, safe};
use crate::output::paint;
use crate::output::units::{clock, count, duration};

use super::Style;

/// Columns of the words before each part of a finding.
const LABEL: usize = 10;
/// Findings of one topic and severity that are shown.
const ALIKE: usize = 5;
/// Columns of a verdict's token.
const WORD: usize = 12;
/// Columns of a topic's token.
const TOPIC: usize = 19;

/// The whole answer.
#[must_use]
pub fn table(diagnosis: &Diagnosis, style: &Style) -> String {
    let mut text = Text { text: String::new(), style };
    text.heading(diagnosis);
    text.bad(diagnosis);
    text.fine(diagnosis);
    text.unseen(diagnosis);
    match &diagnosis.advice {
        Some(lines) => text.advice(lines),
        None => text.settings(diagnosis),
    }
    text.text
}

struct Text<'a> {
    text: String,
    style: &'a Style,
}

impl Text<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    fn heading(&mut self, diagnosis: &Diagnosis) {
        let found: Vec<String> = [
            (Severity::Critical, "critical"),
            (Severity::Warning, "warning"),
            (Severity::Notice, "notice"),
        ]
        .iter()
        .filter_map(|(severity, word)| match (diagnosis.count(*severity), *word) {
            (0, _) => None,
            (number, "critical") => Some(format!("{number} critical")),
            (number, word) => Some(count(number, word)),
        })
        .collect();
        let found = match (found.is_empty(), diagnosis.unseen.is_empty()) {
            (true, true) => "nothing is wrong".to_owned(),
            (true, false) => "nothing wrong is seen".to_owned(),
            _ => found.join(", "),
        };
        let line = format!(
            "tcptrace doctor · {found} · {}, {} · watched {} · {}",
            count(diagnosis.sockets, "socket"),
            count(diagnosis.namespaces, "namespace"),
            duration(diagnosis.window_ns),
            clock(diagnosis.wall_ns, &self.style.zone)
        );
        self.line(&paint::heading(&cut(&line, self.style.width), self.style.color));
    }

    /// What is wrong. Of one topic and severity some are shown, and what it means is said once.
    fn bad(&mut self, diagnosis: &Diagnosis) {
        let mut shown: HashMap<(&str, Severity), usize> = HashMap::new();
        let mut explained = HashSet::new();
        for finding in diagnosis.findings.iter().filter(|own| own.severity != Severity::Ok) {
            let count = shown.entry((finding.topic.id, finding.severity)).or_default();
            *count += 1;
            if *count <= ALIKE || self.style.width == usize::MAX {
                self.finding(finding, explained.insert(finding.topic.id));
            }
        }
        let more = shown.iter().filter(|(_, count)| **count > ALIKE);
        let mut more: Vec<_> = more.map(|((id, _), count)| (*id, count - ALIKE)).collect();
        more.sort_unstable();
        if self.style.width != usize::MAX {
            for (id, count) in more {
                self.line("");
                self.line(&format!("{count} more of {id} (-w shows all)"));
            }
        }
    }

    fn finding(&mut self, finding: &Finding, explains: bool) {
        let word = finding.severity.token().to_uppercase();
        let place =
            finding.netns.map_or_else(String::new, |own| format!(" · network namespace {own}"));
        let painted = paint::severity(finding.severity, &word, self.style.color);
        self.line("");
        self.line(&format!("{painted}  {}{place}", finding.topic.id));
        self.part("", &safe(&finding.title));
        if !finding.evidence.is_empty() {
            self.part("seen", &evidence(finding));
        }
        for (culprit, label) in finding.culprits.iter().zip(first("who")) {
            self.part(label, &who(culprit));
        }
        if explains {
            self.part("why", finding.topic.explanation);
        }
        for (advice, label) in finding.advice.iter().zip(first("do")) {
            self.part(label, &safe(&advice.what));
            if let Some(command) = &advice.command {
                // A command is there to be copied: it is not cut.
                let command = paint::heading(&safe(command), self.style.color);
                self.line(&format!("{:width$}{command}", "", width = LABEL + 4));
            }
        }
        if explains && !finding.topic.leave.is_empty() {
            self.part("leave", finding.topic.leave);
        }
    }

    /// A label and text that flows over as many lines as it needs; without a label further left.
    fn part(&mut self, label: &str, text: &str) {
        let indent = if label.is_empty() { 2 } else { LABEL };
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        let lines = flow(&words, " ", self.style.width.saturating_sub(indent));
        for (line, label) in lines.iter().zip(first(label)) {
            let label = if label == CONTINUED { "" } else { label };
            let label = if label.is_empty() { String::new() } else { format!("    {label}") };
            self.line(&format!("{}{line}", paint::faint(&left(&label, indent), self.style.color)));
        }
    }

    fn fine(&mut self, diagnosis: &Diagnosis) {
        let fine: Vec<&Finding> =
            diagnosis.findings.iter().filter(|own| own.severity == Severity::Ok).collect();
        if fine.is_empty() {
            return;
        }
        self.line("");
        self.line(&paint::heading("Looks fine", self.style.color));
        for finding in fine {
            let line = format!("  {}{}", left(finding.topic.id, TOPIC), safe(&finding.title));
            self.line(&cut(&line, self.style.width));
            for culprit in &finding.culprits {
                let line = format!("{:width$}{}", "", who(culprit), width = TOPIC + 4);
                self.line(&cut(&line, self.style.width));
            }
        }
    }

    fn unseen(&mut self, diagnosis: &Diagnosis) {
        if diagnosis.unseen.is_empty() {
            return;
        }
        self.line("");
        self.line(&paint::warning("Not seen", self.style.color));
        for lack in &diagnosis.unseen {
            let words: Vec<String> =
                safe(&lack.sentence).split_whitespace().map(str::to_owned).collect();
            for line in flow(&words, " ", self.style.width.saturating_sub(2)) {
                self.line(&format!("  {line}"));
            }
        }
    }

    fn settings(&mut self, diagnosis: &Diagnosis) {
        let verdicts = &diagnosis.verdicts;
        if verdicts.is_empty() {
            return;
        }
        self.line("");
        let heading = format!(
            "Settings that such pages name, in network namespace {} (--explain NAME says more)",
            diagnosis.judged
        );
        self.line(&paint::heading(&heading, self.style.color));
        let is_late = |own: &&Verdict| matches!(own.word, Word::Gone | Word::Absent);
        self.loud(verdicts.iter().filter(|own| !is_quiet(own) && !is_late(own)));
        self.quiet(verdicts.iter().filter(|own| is_quiet(own)));
        self.loud(verdicts.iter().filter(is_late));
    }

    fn loud<'a>(&mut self, verdicts: impl Iterator<Item = &'a Verdict>) {
        for verdict in verdicts {
            let line = format!("  {}{}", left(verdict.word.token(), WORD), setting(verdict));
            let line = cut(&line, self.style.width);
            let is_loud = matches!(verdict.word, Word::Change | Word::Reconsider);
            self.line(&if is_loud { paint::warning(&line, self.style.color) } else { line });
        }
    }

    /// Settings that have their default and may keep it, close together.
    fn quiet<'a>(&mut self, verdicts: impl Iterator<Item = &'a Verdict>) {
        let short = verdicts.map(|own| {
            let value = own.value.as_deref().filter(|value| !value.is_empty());
            format!("{} {}", own.sysctl.short_name(), safe(value.unwrap_or("none")))
        });
        let short: Vec<String> = short.collect();
        let lines = flow(&short, ", ", self.style.width.saturating_sub(WORD + 2));
        for (line, word) in lines.iter().zip(first(Word::Leave.token())) {
            let word = if word == CONTINUED { "" } else { word };
            self.line(&format!("  {}{line}", left(word, WORD)));
        }
    }

    fn advice(&mut self, lines: &[Line]) {
        self.line("");
        self.line(&paint::heading("Your file, line by line", self.style.color));
        for own in lines {
            let setting = [safe(&own.name), safe(&own.wanted)].join(" = ");
            let setting = if own.name.is_empty() { String::new() } else { setting };
            let line = format!("{:>4}  {}{setting}", own.number, left(own.word.token(), WORD));
            self.line(&cut(&line, self.style.width));
            self.part(CONTINUED, &safe(&own.why));
        }
    }
}

/// Whether a setting has its default, and nothing speaks against that.
fn is_quiet(verdict: &Verdict) -> bool {
    verdict.word == Word::Leave && verdict.value == verdict.default
}

/// Stands for a label that was said already.
const CONTINUED: &str = "\0";

/// A label once, then blanks.
fn first(label: &str) -> impl Iterator<Item = &str> {
    std::iter::once(label).chain(std::iter::repeat(CONTINUED))
}

fn evidence(finding: &Finding) -> String {
    let mut text = String::new();
    for (key, value) in &finding.evidence {
        let (name, value) = match value {
            Evidence::Count(number) => match key.strip_suffix("_ns") {
                Some(time) => (time, duration(*number)),
                None => (*key, number.to_string()),
            },
            Evidence::Rate(rate) => (*key, format!("{rate:+.1}")),
            Evidence::Text(text) => (*key, safe(text)),
            Evidence::Unknown => continue,
        };
        let separator = if text.is_empty() { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(text, "{separator}{} {value}", name.replace('_', "-"));
    }
    text
}

fn who(culprit: &Culprit) -> String {
    let part = safe(&culprit.part);
    match culprit.pid {
        Some(pid) => format!("{}[{pid}]: {part}", safe(&culprit.comm)),
        None => part,
    }
}

fn setting(verdict: &Verdict) -> String {
    let value = verdict.value.as_deref().unwrap_or("-");
    let default = match verdict.default.as_deref() {
        Some(default) if Some(default) == verdict.value.as_deref() => " (default)".to_owned(),
        Some(default) => format!(" (default {default})"),
        None => String::new(),
    };
    let why = match verdict.word {
        Word::Leave => String::new(),
        _ => format!("  {}", safe(&verdict.why)),
    };
    format!("{} = {}{default}{why}", verdict.sysctl.name, safe(value))
}

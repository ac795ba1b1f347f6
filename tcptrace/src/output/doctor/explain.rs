//! One topic or one setting, explained.

use std::io::{self, Write};

use serde::Serialize;

use crate::doctor::sysctl::{Verdict, Word};
use crate::doctor::topic::Topic;
use crate::output::cell::{flow, left, safe};
use crate::output::escape::write_line;

use super::Style;

/// Columns of the labels.
const LABEL: usize = 12;

/// What is explained.
#[derive(Debug)]
pub enum Subject {
    /// What doctor looks at.
    Topic(&'static Topic),
    /// A setting, and the verdict on its value here.
    Setting(Verdict),
}

impl Subject {
    /// Its name, and labels with texts.
    fn parts(&self) -> (&'static str, Vec<(&'static str, String)>) {
        match self {
            Self::Topic(topic) => (topic.id, of_topic(topic)),
            Self::Setting(verdict) => (verdict.sysctl.name, of_setting(verdict)),
        }
    }
}

fn of_topic(topic: &Topic) -> Vec<(&'static str, String)> {
    let parts = [
        ("means", topic.explanation),
        ("rule", topic.rule),
        ("leave", topic.leave),
        ("source", topic.source),
    ];
    parts.into_iter().map(|(label, text)| (label, text.to_owned())).collect()
}

fn of_setting(verdict: &Verdict) -> Vec<(&'static str, String)> {
    let sysctl = verdict.sysctl;
    let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "not known".to_owned());
    vec![
        ("value", known(&verdict.value)),
        ("default", known(&verdict.default)),
        ("verdict", judgement(verdict)),
        ("does", sysctl.does.to_owned()),
        ("advised", sysctl.advice_says.to_owned()),
        ("helps", sysctl.helps.to_owned()),
        ("harm", sysctl.harm.to_owned()),
        ("scope", sysctl.scope.sentence().to_owned()),
        ("source", sysctl.source.to_owned()),
    ]
}

/// What can be said of a value without a look at the host.
fn judgement(verdict: &Verdict) -> String {
    match verdict.word {
        Word::Leave | Word::Change => String::new(),
        word => format!("{}: {}", word.token(), verdict.why),
    }
}

/// For people.
#[must_use]
pub fn explain(subject: &Subject, style: &Style) -> String {
    let (name, parts) = subject.parts();
    let mut text = format!("{name}\n");
    for (label, content) in parts.iter().filter(|(_, content)| !content.is_empty()) {
        let words: Vec<String> = safe(content).split_whitespace().map(str::to_owned).collect();
        let lines = flow(&words, " ", style.width.saturating_sub(LABEL));
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 { *label } else { "" };
            text.push_str(&format!("{}{line}\n", left(&format!("  {label}"), LABEL)));
        }
    }
    text
}

#[derive(Serialize)]
struct Explanation<'a> {
    r#type: &'static str,
    v: u32,
    name: &'a str,
    parts: std::collections::BTreeMap<&'a str, &'a str>,
}

/// The same as a JSON object.
///
/// # Errors
///
/// Whatever `out` fails with.
pub fn explain_json(subject: &Subject, out: &mut dyn Write) -> io::Result<()> {
    let (name, parts) = subject.parts();
    let parts = parts.iter().map(|(label, text)| (*label, text.as_str())).collect();
    write_line(out, &Explanation { r#type: "explanation", v: 1, name, parts })
}

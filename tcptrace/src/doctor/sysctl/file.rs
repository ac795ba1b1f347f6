//! Advice that somebody has: the settings of a sysctl.conf(5), each with what it would do here.

mod parse;

use super::catalogue::find;
use super::default::{KernelFacts, Rule};
use super::risk::{Setting, harm};
use super::setting::Sysctl;
use super::value::{number, numbers, same};
use crate::doctor::finding::Change;
use parse::{Assignment, Parsed};

/// Longest line that is read, bytes.
pub const LINE_BYTES: usize = 4096;
/// Most lines that are read.
pub const LINES: usize = 10_000;
/// Most settings that are judged.
pub const SETTINGS: usize = 10_000;

/// What a setting in a file would do. The tokens are frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// This kernel has no such setting any more.
    Gone,
    /// The catalogue does not have it: it was not checked.
    Unknown,
    /// It is so already.
    Same,
    /// It is what the kernel has by default.
    Default,
    /// Something that was found asks for it.
    WouldHelp,
    /// It is known to do harm.
    Harmful,
    /// Nothing that was found is helped by it.
    NoHelp,
    /// It is no setting, or was not read.
    Malformed,
}

impl Outcome {
    /// Frozen token.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Unknown => "unknown",
            Self::Same => "same",
            Self::Default => "default",
            Self::WouldHelp => "would-help",
            Self::Harmful => "harmful",
            Self::NoHelp => "no-help",
            Self::Malformed => "malformed",
        }
    }
}

/// One setting of a file.
#[derive(Clone, Debug)]
pub struct Line {
    /// The line that it is in, from 1.
    pub number: usize,
    /// Its name as written, not escaped yet; empty where there is none.
    pub name: String,
    /// The setting; `None`: the catalogue does not have it.
    pub sysctl: Option<&'static Sysctl>,
    /// The value that is wanted, not escaped yet; empty where there is none.
    pub wanted: String,
    /// What it would do.
    pub word: Outcome,
    /// Why.
    pub why: String,
}

/// What each setting of `text` would do here. `value_of` tells the present value of a setting by its
/// full name. Comments and commands that set nothing give no line; what was left out because there
/// is too much of it is said in a line of its own.
#[must_use]
pub fn check(
    text: &[u8],
    value_of: &dyn Fn(&str) -> Option<String>,
    kernel: &KernelFacts,
    changes: &[Change],
) -> Vec<Line> {
    let here = Here { value_of, kernel, changes };
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut found = Vec::new();
    for (line, number) in text.split(|byte| *byte == b'\n').zip(1..) {
        if number > LINES || found.len() >= SETTINGS {
            if rest_is_empty(text, number) {
                break;
            }
            let why = format!("this line and all after it were not read: {LINES} are the most");
            found.push(malformed(number, why));
            break;
        }
        if line.len() > LINE_BYTES {
            found.push(malformed(number, format!("not read: longer than {LINE_BYTES} bytes")));
            continue;
        }
        match parse::line(&String::from_utf8_lossy(line)) {
            Parsed::Nothing => {}
            Parsed::Malformed(why) => found.push(malformed(number, why.to_owned())),
            Parsed::Settings(settings) => {
                found.extend(settings.into_iter().map(|setting| here.judge(number, setting)));
            }
        }
    }
    found
}

/// Whether there is nothing in `text` from this line on.
fn rest_is_empty(text: &[u8], number: usize) -> bool {
    let mut rest = text.split(|byte| *byte == b'\n').skip(number - 1);
    rest.all(|line| line.trim_ascii().is_empty())
}

fn malformed(number: usize, why: String) -> Line {
    let (name, wanted) = (String::new(), String::new());
    Line { number, name, sysctl: None, wanted, word: Outcome::Malformed, why }
}

/// What a setting is judged by.
struct Here<'a> {
    value_of: &'a dyn Fn(&str) -> Option<String>,
    kernel: &'a KernelFacts,
    changes: &'a [Change],
}

impl Here<'_> {
    fn judge(&self, number: usize, setting: Assignment) -> Line {
        let Assignment { name, value: wanted } = setting;
        let sysctl = find(&name);
        let (word, why) = match sysctl {
            Some(sysctl) => self.outcome(sysctl, &wanted),
            None => (Outcome::Unknown, "not checked: it is not in the catalogue".to_owned()),
        };
        Line { number, name, sysctl, wanted, word, why }
    }

    fn outcome(&self, sysctl: &'static Sysctl, wanted: &str) -> (Outcome, String) {
        let now = (self.value_of)(sysctl.name);
        let is = |value: &str| now.as_deref().is_some_and(|now| same(now, value));
        if let Some(why) = sysctl.gone_in(self.kernel.version).filter(|_| now.is_none()) {
            return (Outcome::Gone, why.to_owned());
        }
        if !fits(sysctl, wanted) {
            return (Outcome::Malformed, "its value is not made of numbers".to_owned());
        }
        let change = self.change(sysctl, wanted).filter(|change| !is(&change.value));
        if let Some(change) = change.filter(|change| same(&change.value, wanted)) {
            return (Outcome::WouldHelp, change.why.clone().into_owned());
        }
        let default = sysctl.default.on(self.kernel);
        let setting = Setting { value: wanted, default: default.as_deref(), kernel: self.kernel };
        if let Some(why) = harm(sysctl.risks, &setting) {
            return (Outcome::Harmful, why.to_owned());
        }
        if is(wanted) {
            return (Outcome::Same, "it is so already".to_owned());
        }
        if let Some(change) = change {
            return another_value(change, wanted, now.as_deref());
        }
        if default.is_some_and(|default| same(&default, wanted)) {
            return (Outcome::Default, "it goes back to the default of this kernel".to_owned());
        }
        let why = format!("nothing that was found here is helped by it. {}", sysctl.does);
        (Outcome::NoHelp, why)
    }

    /// The change that asks for this setting: the one with the wanted value before others.
    fn change(&self, sysctl: &Sysctl, wanted: &str) -> Option<&Change> {
        let mut asked = self.changes.iter().filter(|change| change.sysctl == sysctl.name);
        let first = asked.clone().next();
        asked.find(|change| same(&change.value, wanted)).or(first)
    }
}

/// Whether a value can be one of this setting: all take numbers, but for a list of ports.
fn fits(sysctl: &Sysctl, value: &str) -> bool {
    sysctl.default == Rule::Always("") || numbers(value).is_some()
}

/// A change asks for this setting, with another value than the file.
fn another_value(change: &Change, wanted: &str, now: Option<&str>) -> (Outcome, String) {
    let asked = &change.value;
    let way = |value: &str| Some((number(value)?).cmp(&number(now?)?));
    if let (Some(wanted), Some(asked_way)) = (way(wanted), way(asked))
        && wanted != asked_way
    {
        return (Outcome::NoHelp, format!("what was found here asks for {asked}, the other way"));
    }
    (Outcome::WouldHelp, format!("{}; what was found here asks for {asked}", change.why))
}

#[cfg(test)]
mod tests;

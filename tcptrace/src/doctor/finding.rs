//! What an examination finds.

use std::borrow::Cow;

/// How bad it is. The tokens are frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It was looked at and looks fine.
    Ok,
    /// Worth knowing; nothing is failing for it.
    Notice,
    /// Something fails for it, or will.
    Warning,
    /// Something fails now, or within the hour.
    Critical,
}

impl Severity {
    /// Frozen token.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

/// A number or a word that a finding rests on.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// A count, a limit, a size.
    Count(u64),
    /// A time, ns.
    Duration(u64),
    /// Something a second.
    Rate(f64),
    /// A word, not escaped yet.
    Text(String),
    /// It could not be learned.
    Unknown,
}

/// A process that a finding is about, as it was named when the report was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Culprit {
    /// Process id; `None`: none is known.
    pub pid: Option<u32>,
    /// Name, not escaped yet; empty where it is not known.
    pub comm: String,
    /// Its part in it, for people: `holds 41 of them`.
    pub part: String,
}

/// A setting that would help with what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// As sysctl(8) spells it.
    pub sysctl: &'static str,
    /// What to set it to.
    pub value: String,
    /// What that does here.
    pub why: Cow<'static, str>,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// In one sentence.
    pub what: String,
    /// The exact command; `None`: it is not done by a command.
    pub command: Option<String>,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Frozen token of what was looked at.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// In one line, with the number that matters.
    pub title: String,
    /// Inode number of the network namespace that it is about; `None`: the whole host.
    pub netns: Option<u32>,
    /// Numbers, under frozen keys.
    pub evidence: Vec<(&'static str, Evidence)>,
    /// Who, the most important first.
    pub culprits: Vec<Culprit>,
    /// What it means, in two lines.
    pub explanation: Cow<'static, str>,
    /// What to do, the most important first.
    pub advice: Vec<Advice>,
    /// Settings that would help.
    pub changes: Vec<Change>,
    /// What not to change although pages say so, and why.
    pub leave: Cow<'static, str>,
}

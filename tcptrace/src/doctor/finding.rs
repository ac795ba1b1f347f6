//! What an examination finds.

use std::borrow::Cow;

use super::topic::Topic;

/// How bad it is. The tokens are frozen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// Keys of evidence. Those that end in `_ns` are times, in `_grown` what was added while doctor
/// watched; `per_minute` is a rate; all others are counts, or texts.
pub const KEYS: [&str; 37] = [
    "bytes",
    "cookies_grown",
    "cookies_sent",
    "dropped_grown",
    "drops",
    "ephemeral_ports",
    "exhausted_in_ns",
    "from",
    "keepalive",
    "keepalive_first_ns",
    "keepalive_time_s",
    "limit",
    "limit_pages",
    "local_port",
    "longest_ns",
    "max_syn_backlog",
    "oldest_ns",
    "orphan_retries",
    "orphans",
    "overflows",
    "overflows_grown",
    "pages",
    "per_minute",
    "ports",
    "pressure_pages",
    "pressures_grown",
    "sockets",
    "somaxconn",
    "syn_recv",
    "syn_retries",
    "tcp_sockets",
    "time_wait",
    "to",
    "unanswered",
    "used",
    "waited",
    "waiting",
];

/// A number or a word that a finding rests on.
#[derive(Clone, Debug, PartialEq)]
pub enum Evidence {
    /// A count, a limit, a size, a time.
    Count(u64),
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
    /// What was looked at.
    pub topic: &'static Topic,
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
    /// What to do, the most important first.
    pub advice: Vec<Advice>,
    /// Settings that would help.
    pub changes: Vec<Change>,
}

impl Finding {
    /// One with a title and nothing else yet.
    #[must_use]
    pub fn new(topic: &'static Topic, severity: Severity, title: impl Into<String>) -> Self {
        Self {
            topic,
            severity,
            title: title.into(),
            netns: None,
            evidence: Vec::new(),
            culprits: Vec::new(),
            advice: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// The same about one network namespace.
    #[must_use]
    pub fn of(self, netns: u32) -> Self {
        Self { netns: Some(netns), ..self }
    }

    /// The same with a number more, under one of [`KEYS`].
    #[must_use]
    pub fn with(mut self, key: &'static str, evidence: impl Into<Evidence>) -> Self {
        debug_assert!(KEYS.contains(&key), "{key} is not documented");
        self.evidence.push((key, evidence.into()));
        self
    }

    /// The same with something to do.
    #[must_use]
    pub fn advise(mut self, what: impl Into<String>, command: Option<String>) -> Self {
        self.advice.push(Advice { what: what.into(), command });
        self
    }

    /// The same with those who are to blame.
    #[must_use]
    pub fn blame(mut self, culprits: impl IntoIterator<Item = Culprit>) -> Self {
        self.culprits.extend(culprits);
        self
    }
}

impl From<u64> for Evidence {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<Option<u64>> for Evidence {
    fn from(count: Option<u64>) -> Self {
        count.map_or(Self::Unknown, Self::Count)
    }
}

impl From<String> for Evidence {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

//! What a host can do for tcptrace: the answer of `check`.

/// How well something that the tool needs is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It is there.
    Present,
    /// It is there in another form than on the newest kernels.
    Fallback(String),
    /// It is not there, for this reason.
    Missing(String),
}

impl Presence {
    /// Frozen token.
    #[must_use]
    pub fn token(&self) -> &'static str {
        match self {
            Self::Present => "attached",
            Self::Fallback(_) => "fallback",
            Self::Missing(_) => "missing",
        }
    }

    /// Which other form, or why it is missing.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Present => None,
            Self::Fallback(detail) | Self::Missing(detail) => Some(detail),
        }
    }
}

/// A place in the kernel that the tool uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookAbility {
    /// Short name.
    pub name: String,
    /// Tracepoint or iterator.
    pub point: String,
    /// Whether it is in place.
    pub presence: Presence,
    /// What it is for.
    pub purpose: String,
    /// What the user loses without it; `None`: everything.
    pub cost: Option<String>,
}

/// A fact about the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Frozen token.
    pub name: &'static str,
    /// What it is on this host.
    pub value: String,
    /// What it costs the user, where it costs something.
    pub cost: Option<String>,
}

/// A capability that is not given up when everything is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptCapability {
    /// As capabilities(7) calls it.
    pub name: &'static str,
    /// Whether this process has it.
    pub held: bool,
    /// The commands that keep it; all others give it up.
    pub kept_by: Vec<&'static str>,
    /// What for.
    pub purpose: &'static str,
}

/// The answer of `check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Facts about the host.
    pub facts: Vec<Fact>,
    /// Capabilities that some command keeps.
    pub kept: Vec<KeptCapability>,
    /// Hooks; empty when none could be tried.
    pub hooks: Vec<HookAbility>,
    /// Why nothing works; `None`: `leaks` works.
    pub failure: Option<String>,
}

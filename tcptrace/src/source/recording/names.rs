//! Processes and stacks as JSON, one a line. Fields are only ever added, each with a default.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::lifecycle::details::Details;
use crate::lifecycle::stack::{self, Language, StackStatus};

/// A process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process<'a> {
    /// Process id.
    pub pid: u32,
    /// Start on the boot clock, ns.
    pub start_time_ns: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exe: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    uid: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cgroup: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    container: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fd_used: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fd_limit: Option<u64>,
    #[serde(default)]
    stopped: bool,
    #[serde(default)]
    gone: bool,
}

impl<'a> Process<'a> {
    /// With what is known of it.
    #[must_use]
    pub fn new(pid: u32, start_time_ns: u64, details: &'a Details) -> Self {
        Self {
            pid,
            start_time_ns,
            exe: borrowed(&details.exe),
            label: borrowed(&details.label),
            uid: details.uid,
            cgroup: borrowed(&details.cgroup),
            container: borrowed(&details.container),
            fd_used: details.fd_used,
            fd_limit: details.fd_limit,
            stopped: details.stopped,
            gone: details.gone,
        }
    }

    /// What is known of it.
    #[must_use]
    pub fn into_details(self) -> Details {
        Details {
            exe: owned(self.exe),
            label: owned(self.label),
            uid: self.uid,
            cgroup: owned(self.cgroup),
            container: owned(self.container),
            fd_used: self.fd_used,
            fd_limit: self.fd_limit,
            stopped: self.stopped,
            gone: self.gone,
        }
    }
}

/// A stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack<'a> {
    /// By what rows refer to it.
    pub id: u64,
    /// Frozen token.
    status: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Cow<'a, str>>,
    #[serde(default)]
    frames: Vec<Frame<'a>>,
}

/// A frame of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Frame<'a> {
    language: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    function: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    module: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    build_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(default)]
    inlined: bool,
}

impl<'a> From<&'a stack::Stack> for Stack<'a> {
    fn from(stack: &'a stack::Stack) -> Self {
        Self {
            id: stack.id,
            status: stack.status.token().into(),
            reason: stack.status.reason().map(Cow::Borrowed),
            key: borrowed(&stack.key),
            frames: stack.frames.iter().map(Frame::from).collect(),
        }
    }
}

impl From<Stack<'_>> for stack::Stack {
    fn from(own: Stack<'_>) -> Self {
        let reason = owned(own.reason).unwrap_or_default();
        Self {
            id: own.id,
            status: match &*own.status {
                "ok" => StackStatus::Ok,
                "not-traced" => StackStatus::default(),
                "truncated" => StackStatus::Truncated(reason),
                _ => StackStatus::Failed(reason),
            },
            frames: own.frames.into_iter().map(stack::Frame::from).collect(),
            key: owned(own.key),
        }
    }
}

impl<'a> From<&'a stack::Frame> for Frame<'a> {
    fn from(frame: &'a stack::Frame) -> Self {
        Self {
            language: frame.language.token().into(),
            function: borrowed(&frame.function),
            module: borrowed(&frame.module),
            build_id: borrowed(&frame.build_id),
            offset: frame.offset,
            address: frame.address,
            file: borrowed(&frame.file),
            line: frame.line,
            inlined: frame.inlined,
        }
    }
}

impl From<Frame<'_>> for stack::Frame {
    fn from(own: Frame<'_>) -> Self {
        Self {
            language: match &*own.language {
                "jit" => Language::Jit,
                "python" => Language::Python,
                _ => Language::Native,
            },
            function: owned(own.function),
            module: owned(own.module),
            build_id: owned(own.build_id),
            offset: own.offset,
            address: own.address,
            file: owned(own.file),
            line: own.line,
            inlined: own.inlined,
        }
    }
}

fn borrowed(text: &Option<String>) -> Option<Cow<'_, str>> {
    text.as_deref().map(Cow::Borrowed)
}

fn owned(text: Option<Cow<'_, str>>) -> Option<String> {
    text.map(Cow::into_owned)
}

//! A stack with names, as outputs get it.

use std::sync::Arc;

use tcptrace_common::memory::SocketMemory;
use tcptrace_common::stack::stack_id;

use super::untraced::Untraced;

/// How far a stack can be trusted and why it is not longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StackStatus {
    /// Complete, every frame by unwind information.
    Ok,
    /// The innermost frames are right; the rest is missing. The reason is for people.
    Truncated(String),
    /// It was not taken, and why.
    NotTraced(Untraced),
    /// It was taken and cannot be told. The reason is for people.
    Failed(String),
}

impl StackStatus {
    /// Frozen token in machine output.
    #[must_use]
    pub const fn token(&self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Truncated(_) => "truncated",
            Self::NotTraced(_) => "not-traced",
            Self::Failed(_) => "unwind-failed",
        }
    }

    /// Why it is not complete, or not there.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Truncated(reason) | Self::Failed(reason) => Some(reason),
            Self::NotTraced(why) => Some(why.text()),
            Self::Ok => None,
        }
    }
}

impl Default for StackStatus {
    fn default() -> Self {
        Self::NotTraced(Untraced::default())
    }
}

/// What a frame's code is written in, as far as it matters for reading the stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Language {
    /// Machine code of a file.
    #[default]
    Native,
    /// Machine code made at run time.
    Jit,
    /// A function of CPython.
    Python,
}

impl Language {
    /// Frozen token in machine output.
    #[must_use]
    pub const fn token(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Jit => "jit",
            Self::Python => "python",
        }
    }
}

/// One function on a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Frame {
    /// Its language.
    pub language: Language,
    /// Its name, demangled; `None`: not known.
    pub function: Option<String>,
    /// File that the code was loaded from, as the process names it; for Python the source file.
    pub module: Option<String>,
    /// GNU build id of that file, in hexadecimal.
    pub build_id: Option<String>,
    /// Offset in that file, bytes.
    pub offset: Option<u64>,
    /// Address in the process; a return address but for the innermost frame.
    pub address: Option<u64>,
    /// Source file.
    pub file: Option<String>,
    /// Line in it, from 1.
    pub line: Option<u32>,
    /// Whether the function was inlined into the next frame.
    pub inlined: bool,
}

/// A stack, innermost frame first; Python frames come before native ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stack {
    /// By what the kernel side knows it (`tcptrace_common::stack`).
    pub id: u64,
    /// How far to trust it.
    pub status: StackStatus,
    /// Its frames.
    pub frames: Vec<Frame>,
    /// The same for the same call path, whatever the address randomisation and the restarts:
    /// made of build ids and offsets, or of names and lines. `None` where no stack was taken.
    pub key: Option<String>,
}

impl Stack {
    /// One of which the id alone is known.
    #[must_use]
    pub fn of_id(id: u64) -> Arc<Self> {
        Arc::new(Self { id, ..Self::default() })
    }

    /// That of the call that opened a socket, of which the id alone is known, or why there is none.
    #[must_use]
    pub fn of_opening(memory: Option<&SocketMemory>) -> Arc<Self> {
        match memory.map_or(stack_id::NONE, |memory| memory.open_stack) {
            stack_id::NONE => {
                let status = StackStatus::NotTraced(Untraced::of(memory));
                Arc::new(Self { status, ..Self::default() })
            }
            id => Self::of_id(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_that_was_taken_needs_no_reason() {
        let memory = |open_stack| SocketMemory { open_stack, ..SocketMemory::EMPTY };
        assert_eq!(Stack::of_opening(Some(&memory(99))), Stack::of_id(99));
        assert_eq!(Stack::of_opening(Some(&memory(stack_id::LOST))), Stack::of_id(stack_id::LOST));
        let before = StackStatus::NotTraced(Untraced::Before);
        assert_eq!(Stack::of_opening(Some(&memory(stack_id::NONE))).status, before);
        assert_eq!(Stack::of_opening(None).status, before);
    }
}

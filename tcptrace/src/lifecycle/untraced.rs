//! Why there is no stack of the call that opened a socket.

use tcptrace_common::memory::{SocketMemory, role};

/// What is true of an opening call without a stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Untraced {
    /// Stacks are not wanted.
    #[default]
    Unasked,
    /// Nobody was watching yet.
    Before,
    /// A listener's child, of which no accept() is known: there was none, or it came by a system
    /// call that is not traced.
    Unaccepted,
    /// The process that called is not in the tool's pid namespace.
    Outside,
    /// A thread of the kernel's opened it.
    Kernel,
    /// The process that called is known, and nobody took its stack.
    Missed,
}

impl Untraced {
    /// Of a socket without a stack, by what the kernel side remembers of it.
    #[must_use]
    pub fn of(memory: Option<&SocketMemory>) -> Self {
        let Some(memory) = memory else { return Self::Before };
        match (memory.opened_ns, memory.role) {
            (0, role::PASSIVE) => Self::Unaccepted,
            (0, _) => Self::Before,
            _ if memory.opener.pid != 0 => Self::Missed,
            // The kernel side begins to note who it is before it asks for the pid.
            _ if memory.opener.start_ns != 0 => Self::Outside,
            _ => Self::Kernel,
        }
    }

    /// The same for people.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Unasked => "no stacks were asked for",
            Self::Before => "opened before the trace began",
            Self::Unaccepted => "no accept() was seen",
            Self::Outside => "opened by a process outside this pid namespace",
            Self::Kernel => "opened by the kernel itself",
            Self::Missed => "the opening call was not traced",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcptrace_common::memory::Task;

    fn why(opened_ns: u64, role: u8, opener: Task) -> Untraced {
        Untraced::of(Some(&SocketMemory { opened_ns, role, opener, ..SocketMemory::EMPTY }))
    }

    #[test]
    fn what_is_remembered_tells_why() {
        let known = Task { pid: 7, start_ns: 70, ..Task::EMPTY };
        let hidden = Task { pid: 0, ..known };
        assert_eq!(Untraced::of(None), Untraced::Before);
        assert_eq!(why(0, role::UNKNOWN, Task::EMPTY), Untraced::Before);
        assert_eq!(why(0, role::LISTENER, Task::EMPTY), Untraced::Before);
        assert_eq!(why(0, role::PASSIVE, Task::EMPTY), Untraced::Unaccepted);
        assert_eq!(why(5, role::ACTIVE, Task::EMPTY), Untraced::Kernel);
        assert_eq!(why(5, role::ACTIVE, hidden), Untraced::Outside);
        assert_eq!(why(5, role::PASSIVE, hidden), Untraced::Outside);
        assert_eq!(why(5, role::ACTIVE, known), Untraced::Missed);
    }
}

//! What leaks are grouped by.

/// What leaks are grouped by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum By {
    /// The call that opened the socket; without a stack, the port. Cause and program count too.
    #[default]
    Stack,
    /// The process to blame.
    Process,
    /// Remote address.
    Remote,
    /// Local port.
    LocalPort,
    /// cgroup of the process to blame.
    Cgroup,
    /// Not at all: one row for each socket.
    None,
}

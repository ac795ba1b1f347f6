//! Why a stack is not complete, for people.

use tcptrace_common::stack::{MAX_COPY, MAX_FRAMES, end};

use crate::lifecycle::stack::StackStatus;

/// Some page or file of the process lies where nobody answers.
pub const HELD_UP: &str = "reading its memory map takes too long";
/// The process ended too early.
pub const GONE: &str = "the process was gone before its memory map could be read";
/// It ran exec() before its memory map was read.
pub const OTHER_PROGRAM: &str =
    "the process ran another program before its memory map could be read";
/// `/proc/PID/stat` hides the program from those who may not trace it.
pub const HIDDEN: &str = "which program the process runs may not be seen (needs CAP_SYS_PTRACE)";
/// [`super::image::Images`] is full.
pub const TOO_MANY_PROCESSES: &str = "more processes have stacks than are kept";
/// Code was unmapped, and other code mapped there, since the rules were made that led through it.
pub const CHANGED: &str = "the process has put other code where the stack leads through";

/// The first stack of a process that runs CPython.
pub const NO_PYTHON: &str =
    "the process was not known yet, so its Python functions are missing; later stacks have them";
/// Not all Python frames could be walked.
pub const PYTHON_CUT: &str = "there are more Python functions than could be walked";

/// How a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// At the outermost frame.
    Complete,
    /// The last frame lies in this file, which does not tell how to go on.
    NoInfo(String),
    /// The last frame lies in this file, which cannot be read as a program: it was cut short since,
    /// or reading fails.
    NoFile(String),
    /// The last frame lies in this file, which was not opened in time.
    LateFile(String),
    /// The last frame lies in code made at run time, and what follows does not look like calls.
    Jit {
        /// Whether a Java virtual machine made it.
        is_java: bool,
    },
    /// The last frame lies in the vDSO or other code of the kernel's.
    Kernel,
    /// The address that should follow is in no executable memory.
    NoCode(u64),
    /// The stack could not be read.
    Unreadable,
    /// The stack goes on behind what was copied.
    BeyondCopy,
    /// The caller's frame would not lie above.
    Broken,
    /// More frames than are kept.
    TooLong,
    /// Not copied, since too many were.
    Budget,
    /// A way to end that is not known here.
    Unknown(u32),
}

impl Ending {
    /// How the kernel side's walk ended, where user space cannot say more.
    #[must_use]
    pub const fn of_kernel(value: u32) -> Self {
        match value {
            end::COMPLETE => Self::Complete,
            end::UNREADABLE => Self::Unreadable,
            end::BROKEN => Self::Broken,
            end::TOO_LONG => Self::TooLong,
            end::BUDGET => Self::Budget,
            other => Self::Unknown(other),
        }
    }

    /// The same as a status.
    #[must_use]
    pub fn status(&self) -> StackStatus {
        match self {
            Self::Complete => StackStatus::Ok,
            other => StackStatus::Truncated(other.text()),
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Complete => String::new(),
            Self::NoInfo(file) => format!("no usable unwind information in {file}"),
            Self::LateFile(file) => format!(
                "cut in {file}, which could not be opened: its process has gone, or its file system \
                 does not answer"
            ),
            Self::NoFile(file) => format!("cut in {file}, which could not be read as a program"),
            Self::Jit { is_java } => {
                let remedy =
                    if *is_java { ": run java with -XX:+PreserveFramePointer" } else { "" };
                format!("cut in code made at run time that keeps no frame pointer{remedy}")
            }
            Self::Kernel => "cut in code of the kernel's".to_owned(),
            Self::NoCode(address) => format!("the next address, {address:#x}, is not in any code"),
            Self::Unreadable => "the stack could not be read further".to_owned(),
            Self::BeyondCopy => {
                format!("the stack goes on behind the {} KiB that were copied", MAX_COPY >> 10)
            }
            Self::Broken => {
                "the next frame does not lie above this one: a coroutine, or another stack"
                    .to_owned()
            }
            Self::TooLong => format!("longer than {MAX_FRAMES} frames"),
            Self::Budget => "the process made more new stacks than are copied for it".to_owned(),
            Self::Unknown(value) => format!("cut by the kernel side for reason {value}"),
        }
    }
}

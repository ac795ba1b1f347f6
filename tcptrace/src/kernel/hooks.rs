//! The hooks: what each is for, in which forms it attaches, what the user loses without it.

use anyhow::{Result, anyhow};
use aya::Ebpf;

use super::counters::SECOND;
use super::{census, snapshot};

pub mod ahead;
mod form;

pub use form::Ground;
use form::{BEST, Form, Point, at, passing};

/// What a hook serves; a command attaches the groups that it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// What is so now.
    Snapshots,
    /// State transitions, and the memory of each socket.
    Life,
    /// Who accepted a connection.
    Openers,
    /// Who read end-of-file.
    Eof,
    /// Stacks.
    Stacks,
    /// FIN_WAIT2 and TIME_WAIT of closed sockets.
    MiniSockets,
    /// Children of the processes that a filter names.
    Children,
    /// Every socket, to be counted.
    Census,
}

impl Group {
    /// Every hook.
    pub const ALL: &[Self] = &[
        Self::Snapshots,
        Self::Life,
        Self::Openers,
        Self::Eof,
        Self::Stacks,
        Self::MiniSockets,
        Self::Children,
        Self::Census,
    ];
    /// For `leaks`, with stacks.
    pub const LEAKS_AND_STACKS: &[Self] =
        &[Self::Snapshots, Self::Life, Self::Openers, Self::Eof, Self::Stacks];
    /// For `hist`, where no opener matters.
    pub const HIST: &[Self] = &[Self::Life, Self::MiniSockets, Self::Census];
    /// For `hist` with openers.
    pub const HIST_WITH_OPENERS: &[Self] =
        &[Self::Life, Self::Openers, Self::MiniSockets, Self::Census];
    /// For `leaks`, without stacks.
    pub const LEAKS: &[Self] = &[Self::Snapshots, Self::Life, Self::Openers, Self::Eof];
    /// For `states`.
    pub const STATES: &[Self] = &[Self::Census];
}

/// Something that the tool wants to know of the kernel, and the ways to it.
#[derive(Debug, PartialEq, Eq)]
pub struct Hook {
    /// Short name, frozen.
    pub name: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// What is lost without it; `None`: nothing works without it.
    pub cost: Option<&'static str>,
    /// Token of the degradation when it is missing.
    pub degradation: &'static str,
    /// What it serves.
    pub group: Group,
    /// The best first; the first that the kernel has is attached.
    forms: &'static [Form],
}

/// Whether a hook is in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is.
    Attached,
    /// It is, in a form that is not the best: in which, and why.
    Fallback {
        /// Where it is attached.
        point: &'static str,
        /// What is different, and why.
        detail: String,
    },
    /// It is not, for this reason.
    Missing(String),
}

/// What is lost where mini-sockets cannot be followed.
const NO_MINI_SOCKETS: &str = "TIME_WAIT is not followed, and FIN_WAIT2 of a closed socket seems to \
                               end when the kernel keeps only a mini-socket of it";

/// What a tracepoint of a system call costs.
const SLOW_CALLS: &str = "as a tracepoint of the system call, with which every system call of the \
                          host takes the kernel's slow way out";

/// The exits of accept() tell that it fails for want of descriptors, before anything is accepted.
const ACCEPT: &[Form] = &[
    Form {
        points: &[
            passing(2, "fentry/security_sock_graft", "tcptrace_graft"),
            passing(1, form::call!("accept"), "tcptrace_accept_end"),
            passing(1, form::call!("accept4"), "tcptrace_accept4_end"),
        ],
        difference: BEST,
    },
    Form {
        points: &[
            at("syscalls/sys_exit_accept4", "tcptrace_accept"),
            at("syscalls/sys_exit_accept", "tcptrace_accept"),
        ],
        difference: SLOW_CALLS,
    },
];
const CONNECT: &[Form] = &[
    Form { points: &[at("fentry/__inet_hash_connect", "tcptrace_connect")], difference: BEST },
    Form { points: &[at("syscalls/sys_exit_connect", "tcptrace_open")], difference: SLOW_CALLS },
];
const LISTEN: &[Form] = &[
    Form { points: &[at("fexit/inet_csk_listen_start", "tcptrace_listen")], difference: BEST },
    Form { points: &[at("syscalls/sys_exit_listen", "tcptrace_open")], difference: SLOW_CALLS },
];
const EOF: &[Form] = &[
    Form { points: &[at("tp_btf/sock_recv_length", "tcptrace_eof")], difference: BEST },
    Form {
        points: &[passing(5, "fexit/tcp_recvmsg", "tcptrace_received")],
        difference: "reads that wait when tcptrace starts are not seen",
    },
];
/// `io_uring_complete` passes other arguments since 6.14.
const URING: &[Form] = &[
    Form {
        points: &[passing(3, "tp_btf/io_uring_complete", "tcptrace_uring_cqe")],
        difference: BEST,
    },
    Form {
        points: &[passing(7, "tp_btf/io_uring_complete", "tcptrace_uring_res")],
        difference: "with the arguments that it had before Linux 6.14",
    },
];

/// The functions tell every move in its moment.
const MINI_SOCKETS: &[Form] = &[
    Form {
        points: &[
            passing(1, "fentry/inet_twsk_kill", "tcptrace_mini_end"),
            passing(3, "fentry/__inet_twsk_schedule", "tcptrace_mini_move"),
        ],
        difference: BEST,
    },
    Form {
        points: &[at(form::TIMERS, "tcptrace_timer_cancel")],
        difference: "at all timers of the host, and some times are known to the jiffy",
    },
];

/// The second program for transitions, which is attached when it is needed (see [`super::nested`]).
pub const NESTED: Point = at("tp_btf/inet_sock_set_state", SECOND);

/// All hooks in the order of attaching: first what ends memories, last what begins them, so that
/// no memory outlives its socket.
pub static HOOKS: [Hook; 16] = [
    Hook {
        name: "census-sockets",
        purpose: "counts the sockets of each network namespace",
        cost: None,
        degradation: "no-census",
        group: Group::Census,
        forms: form::only!("iter/tcp", census::SOCKETS),
    },
    Hook {
        name: "census-dead",
        purpose: "counts dead sockets",
        cost: None,
        degradation: "no-census",
        group: Group::Census,
        forms: form::only!("iter/task_file", census::DEAD),
    },
    Hook {
        name: "census-held",
        purpose: "counts the sockets of each process",
        cost: None,
        degradation: "no-census",
        group: Group::Census,
        forms: form::only!("iter/task_file", census::HELD),
    },
    Hook {
        name: "descriptors",
        purpose: "finds who holds a socket, and dead sockets",
        cost: None,
        degradation: "no-descriptors",
        group: Group::Snapshots,
        forms: form::only!("iter/task_file", snapshot::FILES),
    },
    Hook {
        name: "sockets",
        purpose: "finds every socket, held or not, in each network namespace",
        cost: None,
        degradation: "no-sockets",
        group: Group::Snapshots,
        forms: form::only!("iter/tcp", snapshot::SOCKETS),
    },
    Hook {
        name: "destroy",
        purpose: "forgets a socket when it ends",
        cost: None,
        degradation: "no-destroy",
        group: Group::Life,
        forms: form::only!("tp_btf/tcp_destroy_sock", "tcptrace_destroy"),
    },
    Hook {
        name: "eof",
        purpose: "sees the read that returns end-of-file",
        cost: Some(
            "who read end-of-file stays unknown: eof-read-not-closed is reported as \
             fin-consumed-not-closed (the tracepoint came with Linux 6.3)",
        ),
        degradation: "no-eof-witness",
        group: Group::Eof,
        forms: EOF,
    },
    Hook {
        name: "accept",
        purpose: "names who accepted a connection",
        cost: Some("openers of accepted connections stay unknown"),
        degradation: "no-accept",
        group: Group::Openers,
        forms: ACCEPT,
    },
    Hook {
        name: "uring",
        purpose: "names who accepted a connection through io_uring",
        cost: Some("openers of connections taken through io_uring stay unknown"),
        degradation: "no-uring-accept",
        group: Group::Openers,
        forms: URING,
    },
    Hook {
        name: "exec",
        purpose: "forgets how to walk the stacks of a program that was replaced",
        cost: Some("stacks are not taken: a new program would be taken for the old one"),
        degradation: "no-stacks",
        group: Group::Stacks,
        forms: form::only!("tp_btf/sched_process_exec", "tcptrace_exec"),
    },
    Hook {
        name: "fork",
        purpose: "lets a child's stacks be walked like its parent's",
        cost: Some("stacks are not taken: a process could be taken for an earlier one of its pid"),
        degradation: "no-stacks",
        group: Group::Stacks,
        forms: form::only!("tp_btf/sched_process_fork", "tcptrace_fork"),
    },
    Hook {
        name: "connect",
        purpose: "takes the stack of connect()",
        cost: Some("the stacks of connect() stay unknown"),
        degradation: "no-connect-stack",
        group: Group::Stacks,
        forms: CONNECT,
    },
    Hook {
        name: "listen",
        purpose: "takes the stack of listen()",
        cost: Some("the stacks of listen() stay unknown"),
        degradation: "no-listen-stack",
        group: Group::Stacks,
        forms: LISTEN,
    },
    Hook {
        name: "mini-end",
        purpose: "follows closed sockets through FIN_WAIT2 and TIME_WAIT",
        cost: Some(NO_MINI_SOCKETS),
        degradation: "no-mini-sockets",
        group: Group::MiniSockets,
        forms: MINI_SOCKETS,
    },
    Hook {
        name: "children",
        purpose: "lets a filter on processes follow their children",
        cost: Some("children that are started later are not followed"),
        degradation: "no-children",
        group: Group::Children,
        forms: form::only!("tp_btf/sched_process_fork", "tcptrace_follow"),
    },
    Hook {
        name: "transitions",
        purpose: "sees every state transition: openers of connect(), exact ages",
        cost: None,
        degradation: "no-transitions",
        group: Group::Life,
        forms: form::only!("tp_btf/inet_sock_set_state", "tcptrace_set_state"),
    },
];

impl Hook {
    /// Whether nothing works without it.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.cost.is_none()
    }

    /// Where its best form attaches.
    #[must_use]
    pub fn point(&self) -> &'static str {
        self.forms.first().map_or("", |best| best.place())
    }

    /// Loads and attaches the hook's programs, in the best form that this kernel has.
    ///
    /// # Errors
    ///
    /// Why the kernel refuses the best form, and the last one.
    pub fn attach(&self, ebpf: &mut Ebpf, ground: &Ground<'_>) -> Result<Status> {
        let mut refusals: Vec<anyhow::Error> = Vec::new();
        for form in self.forms {
            match form.attach(ebpf, ground) {
                Ok(()) => return Ok(status(form, refusals.first())),
                Err(error) => refusals.push(error),
            }
        }
        let last = refusals.pop().unwrap_or_else(|| anyhow!("there is no way to it"));
        Err(match refusals.first() {
            Some(first) => last.context(format!("{first:#}; otherwise")),
            None => last,
        })
    }
}

/// That of a hook that is attached in one form, after another was refused.
fn status(form: &Form, refusal: Option<&anyhow::Error>) -> Status {
    let Some(refusal) = refusal else { return Status::Attached };
    let detail = format!("{} [{refusal:#}]", form.difference);
    Status::Fallback { point: form.place(), detail }
}

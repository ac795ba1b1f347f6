//! The hooks: where each attaches, what it is for, what the user loses without it.

use anyhow::{Context as _, Result, anyhow, bail};
use aya::programs::{BtfTracePoint, Iter, ProgramError, TracePoint};
use aya::{Btf as KernelBtf, Ebpf};

use super::btf::Btf;

/// How a program meets the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A raw tracepoint with types.
    Typed,
    /// A system-call tracepoint, by name in tracefs.
    SystemCall,
    /// An iterator.
    Iterator,
}

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

/// A place in the kernel that the tool uses.
#[derive(Debug, PartialEq, Eq)]
pub struct Hook {
    /// Short name, frozen.
    pub name: &'static str,
    /// Tracepoint or iterator.
    pub point: &'static str,
    /// What it is for.
    pub purpose: &'static str,
    /// What is lost without it; `None`: nothing works without it.
    pub cost: Option<&'static str>,
    /// Token of the degradation when it is missing.
    pub degradation: &'static str,
    /// What it serves.
    pub group: Group,
    kind: Kind,
}

/// Whether a hook is in place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is.
    Attached,
    /// It is, in another form than on the newest kernels.
    Fallback(&'static str),
    /// It is not, for this reason.
    Missing(String),
}

/// What is lost where mini-sockets cannot be followed.
const NO_MINI_SOCKETS: &str = "TIME_WAIT is not followed, and FIN_WAIT2 of a closed socket seems to \
                               end when the kernel keeps only a mini-socket of it";

/// All hooks in the order of attaching: first what ends memories, last what begins them, so that
/// no memory outlives its socket.
pub static HOOKS: [Hook; 17] = [
    Hook {
        name: "census-sockets",
        point: "iter/tcp",
        purpose: "counts the sockets of each network namespace",
        cost: None,
        degradation: "no-census",
        group: Group::Census,
        kind: Kind::Iterator,
    },
    Hook {
        name: "census-dead",
        point: "iter/task_file",
        purpose: "counts dead sockets",
        cost: None,
        degradation: "no-census",
        group: Group::Census,
        kind: Kind::Iterator,
    },
    Hook {
        name: "census-held",
        point: "iter/task_file",
        purpose: "counts the sockets of each process",
        cost: None,
        degradation: "no-census",
        group: Group::Census,
        kind: Kind::Iterator,
    },
    Hook {
        name: "descriptors",
        point: "iter/task_file",
        purpose: "finds who holds a socket, and dead sockets",
        cost: None,
        degradation: "no-descriptors",
        group: Group::Snapshots,
        kind: Kind::Iterator,
    },
    Hook {
        name: "sockets",
        point: "iter/tcp",
        purpose: "finds every socket, held or not, in each network namespace",
        cost: None,
        degradation: "no-sockets",
        group: Group::Snapshots,
        kind: Kind::Iterator,
    },
    Hook {
        name: "destroy",
        point: "tp_btf/tcp_destroy_sock",
        purpose: "forgets a socket when it ends",
        cost: None,
        degradation: "no-destroy",
        group: Group::Life,
        kind: Kind::Typed,
    },
    Hook {
        name: "eof",
        point: "tp_btf/sock_recv_length",
        purpose: "sees the read that returns end-of-file",
        cost: Some(
            "who read end-of-file stays unknown: eof-read-not-closed is reported as \
             fin-consumed-not-closed (the hook came with Linux 6.3)",
        ),
        degradation: "no-eof-witness",
        group: Group::Eof,
        kind: Kind::Typed,
    },
    Hook {
        name: "accept",
        point: "syscalls/sys_exit_accept",
        purpose: "names who accepted a connection",
        cost: Some("openers of connections taken with accept() stay unknown"),
        degradation: "no-accept",
        group: Group::Openers,
        kind: Kind::SystemCall,
    },
    Hook {
        name: "accept4",
        point: "syscalls/sys_exit_accept4",
        purpose: "names who accepted a connection",
        cost: Some("openers of connections taken with accept4() stay unknown"),
        degradation: "no-accept4",
        group: Group::Openers,
        kind: Kind::SystemCall,
    },
    Hook {
        name: "uring",
        point: "tp_btf/io_uring_complete",
        purpose: "names who accepted a connection through io_uring",
        cost: Some("openers of connections taken through io_uring stay unknown"),
        degradation: "no-uring-accept",
        group: Group::Openers,
        kind: Kind::Typed,
    },
    Hook {
        name: "exec",
        point: "tp_btf/sched_process_exec",
        purpose: "forgets how to walk the stacks of a program that was replaced",
        cost: Some("stacks are not taken: a new program would be taken for the old one"),
        degradation: "no-stacks",
        group: Group::Stacks,
        kind: Kind::Typed,
    },
    Hook {
        name: "fork",
        point: "tp_btf/sched_process_fork",
        purpose: "lets a child's stacks be walked like its parent's",
        cost: Some("stacks are not taken: a process could be taken for an earlier one of its pid"),
        degradation: "no-stacks",
        group: Group::Stacks,
        kind: Kind::Typed,
    },
    Hook {
        name: "connect",
        point: "syscalls/sys_exit_connect",
        purpose: "takes the stack of connect()",
        cost: Some("the stacks of connect() stay unknown"),
        degradation: "no-connect-stack",
        group: Group::Stacks,
        kind: Kind::SystemCall,
    },
    Hook {
        name: "listen",
        point: "syscalls/sys_exit_listen",
        purpose: "takes the stack of listen()",
        cost: Some("the stacks of listen() stay unknown"),
        degradation: "no-listen-stack",
        group: Group::Stacks,
        kind: Kind::SystemCall,
    },
    Hook {
        name: "mini-end",
        point: "tp_btf/timer_cancel",
        purpose: "follows closed sockets through FIN_WAIT2 and TIME_WAIT",
        cost: Some(NO_MINI_SOCKETS),
        degradation: "no-mini-sockets",
        group: Group::MiniSockets,
        kind: Kind::Typed,
    },
    Hook {
        name: "children",
        point: "tp_btf/sched_process_fork",
        purpose: "lets a filter on processes follow their children",
        cost: Some("children that are started later are not followed"),
        degradation: "no-children",
        group: Group::Children,
        kind: Kind::Typed,
    },
    Hook {
        name: "transitions",
        point: "tp_btf/inet_sock_set_state",
        purpose: "sees every state transition: openers of connect(), exact ages",
        cost: None,
        degradation: "no-transitions",
        group: Group::Life,
        kind: Kind::Typed,
    },
];

impl Hook {
    /// Whether nothing works without it.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.cost.is_none()
    }

    fn tracepoint(&self) -> &'static str {
        self.point.rsplit('/').next().unwrap_or(self.point)
    }

    /// Loads and attaches the hook's program. System-call hooks need tracefs in this thread's
    /// view of the file system.
    ///
    /// # Errors
    ///
    /// Why the kernel refuses.
    pub fn attach(&self, ebpf: &mut Ebpf, btf: &Btf, types: &KernelBtf) -> Result<Status> {
        let (name, status) = self.program(btf)?;
        let program = ebpf.program_mut(name).with_context(|| format!("no program {name}"))?;
        match self.kind {
            Kind::Typed => {
                let program: &mut BtfTracePoint = program.try_into()?;
                program.load(self.tracepoint(), types).map_err(refused)?;
                program.attach()?;
            }
            Kind::SystemCall => {
                let program: &mut TracePoint = program.try_into()?;
                // One program serves several calls.
                if program.fd().is_err() {
                    program.load().map_err(refused)?;
                }
                program.attach("syscalls", self.tracepoint()).with_context(|| {
                    "system-call tracepoints need tracefs (mount -t tracefs none \
                     /sys/kernel/tracing)"
                })?;
            }
            Kind::Iterator => {
                let program: &mut Iter = program.try_into()?;
                program.load(self.tracepoint(), types).map_err(refused)?;
            }
        }
        Ok(status)
    }

    /// Whether attaching it takes tracefs.
    #[must_use]
    pub fn needs_tracefs(&self) -> bool {
        self.kind == Kind::SystemCall
    }

    /// The program for this kernel: `io_uring_complete` passes other arguments since 6.14.
    fn program(&self, btf: &Btf) -> Result<(&'static str, Status)> {
        if self.kind == Kind::Typed && !btf.has_tracepoint(self.tracepoint()) {
            bail!("this kernel has no tracepoint {}", self.tracepoint());
        }
        let name = match self.name {
            "descriptors" => super::snapshot::FILES,
            "sockets" => super::snapshot::SOCKETS,
            "census-sockets" => super::census::SOCKETS,
            "census-dead" => super::census::DEAD,
            "census-held" => super::census::HELD,
            "destroy" => "tcptrace_destroy",
            "eof" => "tcptrace_eof",
            "accept" | "accept4" => "tcptrace_accept",
            "connect" | "listen" => "tcptrace_open",
            "exec" => "tcptrace_exec",
            "fork" => "tcptrace_fork",
            "children" => "tcptrace_follow",
            "mini-end" => "tcptrace_timer_cancel",
            "uring" => match btf.tracepoint_arguments(self.tracepoint()) {
                Some(3) => "tcptrace_uring_cqe",
                Some(7) => {
                    return Ok((
                        "tcptrace_uring_res",
                        Status::Fallback("arguments as before 6.14"),
                    ));
                }
                count => bail!("io_uring_complete with {count:?} arguments is not known"),
            },
            _ => "tcptrace_set_state",
        };
        Ok((name, Status::Attached))
    }
}

/// The verifier's log is a book; it goes to `-v`, its verdict into the one line of the error.
fn refused(error: ProgramError) -> anyhow::Error {
    let ProgramError::LoadError { io_error, verifier_log } = error else {
        return error.into();
    };
    let log = verifier_log.to_string();
    log::debug!("the verifier says:\n{log}");
    let verdict = log.lines().rev().map(str::trim).find(|line| is_verdict(line));
    anyhow!("the kernel refuses the program: {io_error}: {}", verdict.unwrap_or("no reason given"))
}

/// Whether a line of the verifier's log is neither empty nor its closing statistics.
fn is_verdict(line: &str) -> bool {
    const STATISTICS: [&str; 4] =
        ["processed ", "verification time", "stack depth", "mark_precise"];
    !line.is_empty() && !STATISTICS.iter().any(|start| line.starts_with(start))
}

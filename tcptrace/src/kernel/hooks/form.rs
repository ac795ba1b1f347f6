//! One way of attaching a hook, and how that is done.

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use aya::programs::{BtfTracePoint, FEntry, FExit, Iter, Program, ProgramError, TracePoint};
use aya::{Btf as KernelBtf, Ebpf};

use crate::kernel::btf::Btf;
use crate::kernel::host::{built_by_clang, is_ftrace_off};
use crate::kernel::tracefs::with_tracefs;

/// Programs that do something together.
#[derive(Debug, PartialEq, Eq)]
pub struct Form {
    /// Where they attach, the most telling first.
    pub points: &'static [Point],
    /// What is different from the best form.
    pub difference: &'static str,
}

/// What is known of the kernel on which hooks are to stand.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    /// How it describes its types.
    pub btf: &'a Btf,
    /// The same, for aya.
    pub types: &'a KernelBtf,
    /// Whether it shows by what the timers of mini-sockets are told from others.
    pub shows_mini_timer: bool,
}

/// A program and its place.
#[derive(Debug, PartialEq, Eq)]
pub struct Point {
    /// Kind and name: `tp_btf/` a raw tracepoint with types, `syscalls/` a system call's, `fentry/` and
    /// `fexit/` a function of the kernel, `iter/` an iterator.
    place: &'static str,
    /// Its name. One program may serve several system calls.
    pub program: &'static str,
    /// How many arguments the program expects there, where kernels differ in that.
    arguments: Option<usize>,
}

/// That of the best form: none.
pub const BEST: &str = "";

/// All timers of the host.
pub const TIMERS: &str = "tp_btf/timer_cancel";

/// A program at a place.
pub const fn at(place: &'static str, program: &'static str) -> Point {
    Point { place, program, arguments: None }
}

/// A program at a place that passes so many arguments.
pub const fn passing(arguments: usize, place: &'static str, program: &'static str) -> Point {
    Point { place, program, arguments: Some(arguments) }
}

/// The exit of the function of a system call; its name has the architecture in it.
macro_rules! call {
    ($name:literal) => {
        if cfg!(target_arch = "aarch64") {
            concat!("fexit/__arm64_sys_", $name)
        } else {
            concat!("fexit/__x64_sys_", $name)
        }
    };
}
pub(super) use call;

/// The forms of a hook that has but one, of one program.
macro_rules! only {
    ($place:literal, $program:expr) => {
        &[Form { points: &[at($place, $program)], difference: BEST }]
    };
}
pub(super) use only;

impl Form {
    /// Where it attaches.
    pub fn place(&self) -> &'static str {
        self.points.first().map_or("", |point| point.place)
    }

    /// Whether attaching it takes tracefs.
    fn needs_tracefs(&self) -> bool {
        self.points.iter().any(|point| point.place.starts_with("syscalls/"))
    }

    /// Attaches all of it, or nothing. The most telling program comes last: what it tells needs the
    /// others.
    pub fn attach(&self, ebpf: &mut Ebpf, ground: &Ground<'_>) -> Result<()> {
        let mut all = || {
            self.points.iter().try_for_each(|point| point.load(point.program(ebpf)?, ground))?;
            self.points.iter().rev().try_for_each(|point| point.attach(ebpf))
        };
        let attached = if self.needs_tracefs() { with_tracefs(all) } else { all() };
        // Nothing is attached of one point that failed, and its program may serve another hook.
        if attached.is_err() && self.points.len() > 1 {
            self.points.iter().for_each(|point| point.detach(ebpf));
        }
        attached
    }
}

impl Point {
    fn name(&self) -> &'static str {
        self.place.split_once('/').map_or(self.place, |(_, name)| name)
    }

    /// Whether the kernel describes it, as the program expects it to be.
    fn is_there(&self, ground: &Ground<'_>) -> Result<()> {
        let name = self.name();
        ensure!(
            ground.shows_mini_timer || self.place != TIMERS,
            "/proc/kallsyms does not show tw_timer_handler"
        );
        let (what, arguments) = match self.place.split_once('/') {
            Some(("tp_btf", _)) => ("tracepoint", ground.btf.tracepoint_arguments(name)),
            Some(("fentry" | "fexit", _)) => {
                ensure!(
                    !built_by_clang(),
                    "the kernel was built by clang, which may have put {name} into others (LTO)"
                );
                ensure!(!is_ftrace_off(), "kernel.ftrace_enabled is 0");
                ("function", ground.btf.function_arguments(name))
            }
            _ => return Ok(()),
        };
        let count = arguments.with_context(|| format!("this kernel has no {what} {name}"))?;
        let fits = self.arguments.is_none_or(|expected| expected == count);
        ensure!(fits, "{name} has {count} arguments on this kernel");
        Ok(())
    }

    /// Its program.
    pub fn program<'a>(&self, ebpf: &'a mut Ebpf) -> Result<&'a mut Program> {
        ebpf.program_mut(self.program).with_context(|| format!("no program {}", self.program))
    }

    /// Loads its program, unless that was done before.
    pub fn load(&self, program: &mut Program, ground: &Ground<'_>) -> Result<()> {
        if program.fd().is_ok() {
            return Ok(());
        }
        self.is_there(ground)?;
        let (name, types) = (self.name(), ground.types);
        let loaded = match program {
            Program::BtfTracePoint(program) => program.load(name, types),
            Program::FEntry(program) => program.load(name, types),
            Program::FExit(program) => program.load(name, types),
            Program::TracePoint(program) => program.load(),
            Program::Iter(program) => program.load(name, types),
            _ => bail!("{} is of a kind that is not known", self.program),
        };
        loaded.map_err(|error| self.named(refused(error)))
    }

    fn attach(&self, ebpf: &mut Ebpf) -> Result<()> {
        let attached = match self.program(ebpf)? {
            Program::BtfTracePoint(program) => program.attach().map(drop),
            Program::FEntry(program) => program.attach().map(drop),
            Program::FExit(program) => program.attach().map(drop),
            Program::TracePoint(program) => {
                program.attach("syscalls", self.name()).with_context(|| {
                    "system-call tracepoints need tracefs (mount -t tracefs none \
                     /sys/kernel/tracing)"
                })?;
                Ok(())
            }
            // An iterator has but to be loaded.
            _ => Ok(()),
        };
        attached.map_err(|error| self.named(error.into()))
    }

    /// With the place, where it is one of several of its form or a form of several.
    fn named(&self, error: anyhow::Error) -> anyhow::Error {
        match self.place.split_once('/') {
            Some(("fentry" | "fexit", _)) => {
                error.context(format!("{} cannot be hooked", self.place))
            }
            _ => error,
        }
    }

    /// Takes it off; nothing is lost where it was not attached.
    fn detach(&self, ebpf: &mut Ebpf) {
        let Ok(program) = self.program(ebpf) else { return };
        let _ = match program {
            Program::BtfTracePoint(program) => BtfTracePoint::unload(program),
            Program::FEntry(program) => FEntry::unload(program),
            Program::FExit(program) => FExit::unload(program),
            Program::TracePoint(program) => TracePoint::unload(program),
            Program::Iter(program) => Iter::unload(program),
            _ => Ok(()),
        };
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

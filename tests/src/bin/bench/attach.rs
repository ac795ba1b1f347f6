//! Programs that another process has loaded, attached and taken off at will.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use anyhow::{Context as _, Result, bail};
use aya_obj::generated::{
    PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_SET_BPF, perf_event_attr, perf_type_id,
};
use tcptrace_tests::bpf::{self, Link};
use tcptrace_tests::bpf_call;

/// What a process has attached, kept when it is gone.
pub struct Hooks(Vec<Hook>);

struct Hook {
    program: OwnedFd,
    point: Point,
}

enum Point {
    /// A typed raw tracepoint or a function, which the program knows itself.
    Typed,
    /// A classic one, by number.
    Classic(u64),
}

impl Hooks {
    /// The programs that a process has attached to these tracepoints; none named: to any.
    pub fn of_process(pid: u32, points: &[String]) -> Result<Self> {
        let is_wanted = |link: &Link| points.is_empty() || points.contains(&link.point);
        let hooks = bpf::links_of(pid)?.into_iter().filter(is_wanted).map(|link| {
            let point = match link.kind.as_str() {
                "raw_tracepoint" | "tracing" => Point::Typed,
                "perf" => Point::Classic(number_of(&link)?),
                kind => bail!("a link of kind {kind}"),
            };
            Ok(Hook { program: bpf::program(link.program)?, point })
        });
        Ok(Self(hooks.collect::<Result<_>>()?))
    }

    /// Attaches them all, in the order of the process; taken off when dropped.
    pub fn attach(&self) -> Result<Vec<OwnedFd>> {
        let attach = |hook: &Hook| match hook.point {
            Point::Typed => bpf_call::attach_typed(&hook.program),
            Point::Classic(number) => attach_classic(&hook.program, number),
        };
        self.0.iter().map(attach).collect::<io::Result<_>>().context("attach")
    }
}

/// A system call's tracepoint has a number, which tracefs tells.
fn number_of(link: &Link) -> Result<u64> {
    let path = format!("/sys/kernel/tracing/events/syscalls/{}/id", link.point);
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    text.trim().parse().with_context(|| path)
}

fn attach_classic(program: &OwnedFd, number: u64) -> io::Result<OwnedFd> {
    let event = open_event(number)?;
    // SAFETY: integers; the descriptors are open.
    let set = unsafe {
        libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_SET_BPF.into(), program.as_raw_fd())
    };
    // SAFETY: as above.
    if set < 0 || unsafe { libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_ENABLE.into(), 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(event)
}

/// perf_event_open(2) for a tracepoint, on any process: a program on it runs on every CPU.
fn open_event(number: u64) -> io::Result<OwnedFd> {
    // SAFETY: a struct of integers, for which zeros are values.
    let mut attr: perf_event_attr = unsafe { std::mem::zeroed() };
    attr.type_ = perf_type_id::PERF_TYPE_TRACEPOINT as u32;
    attr.size = size_of_val(&attr) as u32;
    attr.config = number;
    // SAFETY: `attr` outlives the call and has its size in it.
    let fd = unsafe { libc::syscall(libc::SYS_perf_event_open, &raw const attr, -1, 0, -1, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

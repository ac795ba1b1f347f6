//! How mini-sockets are followed. By timers: ends that the kernel side has noted and not told are told by
//! the next timer on that CPU, and where none moves, user space has the program run there that does the
//! same.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::{Array, PerCpuArray};
use aya::programs::RawTracePoint;
use aya::util::online_cpus;
use tcptrace_common::mini::{MiniEnd, way};

use super::hooks::Status;
use super::plain::Plain;

/// How they are followed where the hook for it has this status.
pub fn way(status: &Status) -> u64 {
    match status {
        Status::Attached => way::FUNCTIONS,
        Status::Fallback { .. } => way::TIMERS,
        Status::Missing(_) => way::NONE,
    }
}

/// Has the kernel side follow them so from now on.
///
/// # Errors
///
/// When the map cannot be written.
pub fn go(ebpf: &mut Ebpf, way: u64) -> Result<()> {
    let map = ebpf.map_mut("MINI_WAY").context("no map MINI_WAY")?;
    Array::<_, u64>::try_from(map)?.set(0, way, 0).context("cannot write the map MINI_WAY")
}

const PROGRAM: &str = "tcptrace_settle";

/// For so long the CPUs' own timers have time to tell.
const EVERY: Duration = Duration::from_millis(500);

/// Has ends told that nothing else brings to light.
#[derive(Debug)]
pub struct Settler {
    looked: Instant,
    /// CPU and time of what was noted then.
    noted: Vec<(u32, u64)>,
}

impl Settler {
    /// Loads the program; `None` where the kernel refuses it.
    pub fn load(ebpf: &mut Ebpf) -> Option<Self> {
        match load(ebpf) {
            Ok(()) => Some(Self { looked: Instant::now(), noted: Vec::new() }),
            Err(error) => {
                log::debug!("ends of mini-sockets on idle CPUs are told late: {error:#}");
                None
            }
        }
    }

    /// Has those told that were there at the last look. Returns for how long nobody need ask again.
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub fn tend(&mut self, ebpf: &Ebpf) -> Result<Duration> {
        let left = EVERY.saturating_sub(self.looked.elapsed());
        if !left.is_zero() {
            return Ok(left);
        }
        self.looked = Instant::now();
        let noted = noted(ebpf)?;
        let old: Vec<_> = noted.iter().copied().filter(|own| self.noted.contains(own)).collect();
        self.noted = noted;
        settle(ebpf, &old)?;
        Ok(EVERY)
    }

    /// Has all of them told; they come as records and counts, as all others do. What was noted on a CPU
    /// that is offline now stays untold.
    ///
    /// # Errors
    ///
    /// When the map cannot be read.
    pub fn settle(&self, ebpf: &Ebpf) -> Result<()> {
        settle(ebpf, &noted(ebpf)?)
    }
}

fn load(ebpf: &mut Ebpf) -> Result<()> {
    let program = ebpf.program_mut(PROGRAM).with_context(|| format!("no program {PROGRAM}"))?;
    let program: &mut RawTracePoint = program.try_into()?;
    Ok(program.load()?)
}

/// CPU and time of each that is not settled.
fn noted(ebpf: &Ebpf) -> Result<Vec<(u32, u64)>> {
    let map = ebpf.map("MINI_ENDS").context("no map MINI_ENDS")?;
    let map = PerCpuArray::<_, Plain<MiniEnd>>::try_from(map)?;
    let slots = map.get(&0, 0).context("cannot read the ends of mini-sockets")?;
    let noted = slots.iter().enumerate().filter(|(_, end)| end.0.sk != 0);
    let noted: Vec<_> = noted.map(|(index, end)| (index, end.0.time_ns)).collect();
    if noted.is_empty() {
        return Ok(Vec::new());
    }
    // Slots are those of all possible CPUs, in the order of their numbers.
    let numbers = online_cpus().unwrap_or_default();
    let number = |index| match numbers.len() == slots.len() {
        true => numbers.get(index).copied(),
        false => u32::try_from(index).ok(),
    };
    Ok(noted.into_iter().filter_map(|(index, time)| Some((number(index)?, time))).collect())
}

fn settle(ebpf: &Ebpf, noted: &[(u32, u64)]) -> Result<()> {
    let program: &RawTracePoint =
        ebpf.program(PROGRAM).with_context(|| format!("no program {PROGRAM}"))?.try_into()?;
    for (cpu, _) in noted {
        let fd = program.fd()?.as_fd();
        if let Err(error) = from_elsewhere(*cpu, || run_on(fd, *cpu)) {
            log::debug!("CPU {cpu} does not tell the end of a mini-socket: {error}");
        }
    }
    Ok(())
}

/// Does it on another CPU, where this thread may run on one: asked on its own, a CPU runs the program
/// in the midst of whatever interrupts it, else in an interrupt, which nothing interrupts.
fn from_elsewhere<T>(cpu: u32, work: impl FnOnce() -> T) -> T {
    let before = affinity().ok();
    let moved = before.is_some_and(|mut cpus| {
        let cpu = cpu as usize;
        if cpu < 8 * size_of_val(&cpus) {
            // SAFETY: within the set.
            unsafe { libc::CPU_CLR(cpu, &mut cpus) };
        }
        stay_on(&cpus).is_ok()
    });
    let done = work();
    if let Some(before) = before.filter(|_| moved)
        && let Err(error) = stay_on(&before)
    {
        log::debug!("this thread stays away from CPU {cpu}: {error}");
    }
    done
}

fn affinity() -> io::Result<libc::cpu_set_t> {
    // SAFETY: a set of bits, for which zeros are a value.
    let mut cpus: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: writes the set alone, whose size is given; 0 is this thread.
    let result = unsafe { libc::sched_getaffinity(0, size_of_val(&cpus), &raw mut cpus) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(cpus) }
}

fn stay_on(cpus: &libc::cpu_set_t) -> io::Result<()> {
    // SAFETY: reads the set alone, whose size is given; 0 is this thread.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(cpus), cpus) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `struct` of `BPF_PROG_TEST_RUN` in `union bpf_attr` (`include/uapi/linux/bpf.h`).
#[derive(Default)]
#[repr(C)]
struct TestRun {
    program: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    pad: u32,
}

const BPF_PROG_TEST_RUN: u32 = 10;
const BPF_F_TEST_RUN_ON_CPU: u32 = 1;

/// Has a raw tracepoint's program run on a CPU (since Linux 5.10; takes no capability since 5.19).
fn run_on(program: BorrowedFd<'_>, cpu: u32) -> io::Result<()> {
    let program = program.as_raw_fd().cast_unsigned();
    let mut run = TestRun { program, cpu, flags: BPF_F_TEST_RUN_ON_CPU, ..TestRun::default() };
    let size = size_of_val(&run);
    // SAFETY: the kernel reads and writes `run` alone, which outlives the call; the size is its size.
    let result = unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_TEST_RUN, &raw mut run, size) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

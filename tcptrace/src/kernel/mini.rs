//! Ends of mini-sockets that the kernel side has noted and not told: the next timer on that CPU tells,
//! and where none moves, user space has the program run there that does the same.

use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};

use anyhow::{Context as _, Result};
use aya::Ebpf;
use aya::maps::PerCpuArray;
use aya::programs::RawTracePoint;
use tcptrace_common::mini::MiniEnd;

use super::plain::Plain;

const PROGRAM: &str = "tcptrace_settle";

/// Loads the program.
///
/// # Errors
///
/// When the kernel refuses it.
pub fn load(ebpf: &mut Ebpf) -> Result<()> {
    let program = ebpf.program_mut(PROGRAM).with_context(|| format!("no program {PROGRAM}"))?;
    let program: &mut RawTracePoint = program.try_into()?;
    Ok(program.load()?)
}

/// Has the ends told that were noted before a time, ns on the monotonic clock; they come as records and
/// counts, as all others do. What was noted on a CPU that is offline now stays untold.
///
/// # Errors
///
/// When the map cannot be read.
pub fn settle(ebpf: &mut Ebpf, before_ns: u64) -> Result<()> {
    let map = ebpf.map("MINI_ENDS").context("no map MINI_ENDS")?;
    let map = PerCpuArray::<_, Plain<MiniEnd>>::try_from(map)?;
    let slots = map.get(&0, 0).context("cannot read the ends of mini-sockets")?;
    let is_due = |end: &MiniEnd| end.sk != 0 && end.time_ns < before_ns;
    let due = (0..).zip(slots.iter()).filter(|(_, end)| is_due(&end.0)).map(|(cpu, _)| cpu);
    let program: &RawTracePoint =
        ebpf.program(PROGRAM).with_context(|| format!("no program {PROGRAM}"))?.try_into()?;
    for cpu in due {
        if let Err(error) = run_on(program.fd()?.as_fd(), cpu) {
            log::debug!("CPU {cpu} does not tell the end of a mini-socket: {error}");
        }
    }
    Ok(())
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

/// Has a raw tracepoint's program run on a CPU, by an interrupt of that CPU (since Linux 5.10; takes
/// no capability since 5.19).
fn run_on(program: BorrowedFd<'_>, cpu: u32) -> io::Result<()> {
    let program = program.as_raw_fd().cast_unsigned();
    let run = TestRun { program, cpu, flags: BPF_F_TEST_RUN_ON_CPU, ..TestRun::default() };
    // SAFETY: the kernel reads and writes `run` alone, which outlives the call; the size is its size.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, BPF_PROG_TEST_RUN, &raw const run, size_of_val(&run))
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

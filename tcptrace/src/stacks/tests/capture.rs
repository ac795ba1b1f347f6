//! A stack record of the running thread, as the kernel side would send it.

use std::arch::asm;

use tcptrace_common::Wire as _;
use tcptrace_common::memory::Task;
use tcptrace_common::stack::{MAX_COPY, StackHeader, end};
use tcptrace_common::unwind::Frame;

use super::super::record::COPY;

/// A thread's registers and stack.
#[derive(Clone, Debug)]
pub struct Captured {
    pub frame: Frame,
    pub copy: Vec<u8>,
}

/// Takes those of this thread.
#[inline(never)]
pub fn capture() -> Captured {
    let (pc, sp, bp): (u64, u64, u64);
    // SAFETY: three registers are read; nothing is written to memory.
    unsafe {
        asm!("lea {pc}, [rip]", "mov {sp}, rsp", "mov {bp}, rbp",
            pc = out(reg) pc, sp = out(reg) sp, bp = out(reg) bp, options(nomem));
    }
    let length = usize::try_from(stack_end(sp) - sp).unwrap().min(MAX_COPY);
    let mut copy = vec![0_u8; length];
    // SAFETY: the source lies within the mapping of this thread's stack, above its pointer; other
    // locals may be written meanwhile, by nobody but this thread, which copies.
    unsafe { std::ptr::copy_nonoverlapping(sp as *const u8, copy.as_mut_ptr(), length) };
    Captured { frame: Frame { pc, sp, bp, link: 0, is_leaf: 1 }, copy }
}

fn stack_end(sp: u64) -> u64 {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let ranges = maps.lines().filter_map(|line| line.split(' ').next()?.split_once('-'));
    let number = |text| u64::from_str_radix(text, 16).unwrap();
    let mut ranges = ranges.map(|(start, end)| number(start)..number(end));
    ranges.find(|range| range.contains(&sp)).unwrap().end
}

/// This process, as the kernel side names it.
pub fn task() -> Task {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields = &stat[stat.rfind(')').unwrap() + 2..];
    let ticks: u64 = fields.split(' ').nth(19).unwrap().parse().unwrap();
    let name = std::fs::read("/proc/self/comm").unwrap();
    let mut comm = [0; 16];
    comm[..name.len() - 1].copy_from_slice(&name[..name.len() - 1]);
    // SAFETY: sysconf reads a constant.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.cast_unsigned();
    let start_ns = ticks * (1_000_000_000 / per_second) + 1;
    Task { start_ns, pid: std::process::id(), tid: std::process::id(), comm }
}

impl Captured {
    /// A header that says that nothing is known of the process.
    pub fn header(&self, id: u64) -> StackHeader {
        StackHeader {
            id,
            task: task(),
            tgid: std::process::id(),
            end: end::NO_PROCESS,
            frames: 1,
            copied: u32::try_from(self.copy.len()).unwrap(),
            frontier: self.frame,
            ..StackHeader::default()
        }
    }

    /// The record with this header, and these program counters before the frontier's.
    pub fn record(&self, header: &StackHeader, pcs: &[u64]) -> Vec<u8> {
        let mut record = header.as_bytes().to_vec();
        record.extend(pcs.iter().flat_map(|pc| pc.to_le_bytes()));
        record.extend(self.frame.pc.to_le_bytes());
        record.resize(COPY, 0);
        record.extend(&self.copy);
        record
    }
}

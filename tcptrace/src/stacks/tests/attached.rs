//! Stacks of other programs, for a look beside a debugger: stop one at a system call, unwind.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use tcptrace_common::memory::Task;
use tcptrace_common::stack::MAX_COPY;
use tcptrace_common::unwind::Frame;

use super::super::receive::Stacks;
use super::capture::Captured;

fn task(pid: u32) -> Task {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields = &stat[stat.rfind(')').unwrap() + 2..];
    let ticks: u64 = fields.split(' ').nth(19).unwrap().parse().unwrap();
    let name = std::fs::read(format!("/proc/{pid}/comm")).unwrap();
    let mut comm = [0; 16];
    comm[..name.len() - 1].copy_from_slice(&name[..name.len() - 1]);
    Task { start_ns: ticks * 10_000_000 + 1, pid, tid: pid, comm }
}

fn taken(pid: u32, tid: u32) -> Captured {
    let mut registers = std::mem::MaybeUninit::<libc::user_regs_struct>::uninit();
    let thread = tid.cast_signed();
    let none = std::ptr::null_mut::<libc::c_void>();
    // SAFETY: the thread is stopped and let go again; its registers go into a struct of their type.
    let registers = unsafe {
        assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, thread, none, none), 0);
        assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, thread, none, none), 0);
        libc::waitpid(thread, std::ptr::null_mut(), libc::__WALL);
        assert_eq!(libc::ptrace(libc::PTRACE_GETREGS, thread, none, registers.as_mut_ptr()), 0);
        registers.assume_init()
    };
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut copy = vec![0; MAX_COPY];
    let length = memory.read_at(&mut copy, registers.rsp).unwrap();
    copy.truncate(length);
    // SAFETY: the thread is one that was seized above.
    unsafe { libc::ptrace(libc::PTRACE_DETACH, thread, none, none) };
    let frame =
        Frame { pc: registers.rip, sp: registers.rsp, bp: registers.rbp, link: 0, is_leaf: 1 };
    Captured { frame, copy }
}

#[test]
#[ignore = "for a process that waits in a system call; give it in TCPTRACE_TEST_PID, or PID/TID"]
fn an_attached_process() {
    for target in std::env::var("TCPTRACE_TEST_PID").unwrap().split(',') {
        let (pid, tid) = target.split_once('/').unwrap_or((target, target));
        let (pid, tid) = (pid.parse().unwrap(), tid.parse().unwrap());
        let captured = taken(pid, tid);
        let mut header = captured.header(1);
        (header.task, header.tgid) = (task(pid), pid);
        let mut stacks = Stacks::new();
        let started = std::time::Instant::now();
        let updates = stacks.receive(&captured.record(&header, &[])).unwrap();
        let elapsed = started.elapsed();
        let stack = stacks.get(1).unwrap();
        println!("{target}: {:?}, {} rules, {elapsed:?}", stack.status, updates.rules.len());
        for place in &stack.frames {
            println!(
                "  {:#018x} {:?}",
                place.address,
                match &place.origin {
                    super::super::raw::Origin::File(module, offset) => {
                        format!("{}+{offset:#x}", module.path)
                    }
                    other => format!("{other:?}"),
                }
            );
        }
    }
}

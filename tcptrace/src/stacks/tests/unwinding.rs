//! Stacks of this very process, through code of many shapes, compared with another unwinder.

use std::arch::global_asm;
use std::cell::RefCell;
use std::hint::black_box;

use super::super::raw::{Origin, RawStack};
use super::super::receive::Stacks;
use super::Random;
use super::capture::{Captured, capture};
use super::oracle::Oracle;
use crate::lifecycle::stack::StackStatus;

/// Frames of different sizes, in an order that numbers decide.
#[inline(never)]
fn wander(random: &mut Random, depth: usize, out: &mut Vec<Captured>) -> u64 {
    if depth == 0 {
        out.push(capture());
        return random.next();
    }
    let choice = random.below(5);
    let result = match choice {
        0 => sized::<8>(random, depth, out),
        1 => sized::<200>(random, depth, out),
        2 => sized::<1000>(random, depth, out),
        3 => {
            let mut through: Box<dyn FnMut(&mut Random) -> u64> =
                Box::new(|random| wander(random, depth - 1, out) + 1);
            black_box(&mut through)(random)
        }
        _ => sorted(random, depth, out),
    };
    black_box(result) ^ 3
}

#[inline(never)]
fn sized<const N: usize>(random: &mut Random, depth: usize, out: &mut Vec<Captured>) -> u64 {
    let mut filler = [random.byte(); N];
    let result = wander(random, depth - 1, out);
    black_box(&mut filler)[0].into_u64() + result
}

trait IntoU64 {
    fn into_u64(self) -> u64;
}

impl IntoU64 for u8 {
    fn into_u64(self) -> u64 {
        u64::from(self)
    }
}

thread_local! {
    static CALLBACK: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
}

extern "C" fn compare(left: *const libc::c_void, right: *const libc::c_void) -> libc::c_int {
    if let Some(mut callback) = CALLBACK.take() {
        callback();
    }
    // SAFETY: qsort passes pointers to elements of the array of bytes.
    unsafe { i32::from(*left.cast::<u8>()) - i32::from(*right.cast::<u8>()) }
}

/// Through the C library and back.
fn sorted(random: &mut Random, depth: usize, out: &mut Vec<Captured>) -> u64 {
    let (random, out) = (std::ptr::from_mut(random), std::ptr::from_mut(out));
    CALLBACK.set(Some(Box::new(move || {
        // SAFETY: qsort below calls this before it returns, while both references live and
        // nobody else uses them.
        let (random, out) = unsafe { (&mut *random, &mut *out) };
        wander(random, depth - 1, out);
    })));
    let mut bytes = *black_box(b"qponm");
    // SAFETY: the array has five elements of one byte.
    unsafe { libc::qsort(bytes.as_mut_ptr().cast(), 5, 1, Some(compare)) };
    u64::from(bytes[0])
}

fn received(stacks: &mut Stacks, captured: &Captured) -> RawStack {
    stacks.receive(&captured.record(&captured.header(99), &[])).unwrap();
    stacks.get(99).unwrap().clone()
}

fn addresses(stack: &RawStack) -> Vec<u64> {
    stack.frames.iter().map(|place| place.address).collect()
}

#[test]
fn five_hundred_paths_agree_with_another_unwinder() {
    let captured = std::thread::spawn(|| {
        let (mut random, mut out) = (Random(3), Vec::new());
        for _ in 0..500 {
            let depth = 1 + random.below(12);
            wander(&mut random, depth, &mut out);
        }
        out
    });
    let captured = captured.join().unwrap();
    let (mut stacks, mut oracle) = (Stacks::new(), Oracle::new());
    let (mut complete, mut rules) = (0, 0);
    for captured in &captured {
        let updates = stacks.receive(&captured.record(&captured.header(99), &[])).unwrap();
        rules += updates.rules.len();
        let stack = stacks.get(99).unwrap();
        let expected = oracle.pcs(captured);
        let own = addresses(stack);
        assert!(own.len() > 8 && expected.starts_with(&own), "{own:x?}\n{expected:x?}");
        assert!(stack.frames.iter().all(|place| matches!(place.origin, Origin::File(..))));
        if stack.status == StackStatus::Ok {
            assert_eq!(own, expected);
            complete += 1;
        } else {
            assert_eq!(captured.copy.len(), tcptrace_common::stack::MAX_COPY);
            assert!(stack.status.reason().unwrap().contains("16 KiB"), "{:?}", stack.status);
        }
    }
    println!("{complete} of {} complete, {rules} rules sent", captured.len());
    assert!(complete > 400, "{complete}");
}

global_asm!(
    ".type tcptrace_test_realigned, @function",
    "tcptrace_test_realigned:",
    ".cfi_startproc",
    "lea r10, [rsp + 8]",
    ".cfi_def_cfa r10, 0",
    "and rsp, -64",
    "push qword ptr [r10 - 8]",
    "push rbp",
    ".cfi_escape 0x10, 0x6, 0x2, 0x76, 0",
    "mov rbp, rsp",
    "push r10",
    ".cfi_escape 0xf, 0x3, 0x76, 0x78, 0x6",
    "sub rsp, 40",
    "call rdi",
    "add rsp, 40",
    "pop r10",
    ".cfi_def_cfa r10, 0",
    "pop rbp",
    "lea rsp, [r10 - 8]",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    ".size tcptrace_test_realigned, . - tcptrace_test_realigned",
);

unsafe extern "C" {
    /// What compilers make of a function with over-aligned locals of variable size.
    fn tcptrace_test_realigned(callback: extern "C" fn());
}

thread_local! {
    static TAKEN: RefCell<Option<Captured>> = const { RefCell::new(None) };
}

extern "C" fn take() {
    TAKEN.set(Some(capture()));
}

extern "C" fn on_signal(_: libc::c_int) {
    take();
}

#[test]
fn a_realigned_stack_is_followed_to_its_end() {
    // SAFETY: the function calls the callback and keeps the ABI.
    unsafe { tcptrace_test_realigned(take) };
    let captured = TAKEN.take().unwrap();
    let stack = received(&mut Stacks::new(), &captured);
    assert_eq!(stack.status, StackStatus::Ok, "{stack:x?}");
    let function = tcptrace_test_realigned as *const () as u64;
    let inside = |address: &u64| (function..function + 64).contains(address);
    assert!(addresses(&stack).iter().any(inside));
    assert!(stack.frames.len() > 6);
}

#[test]
fn a_signal_frame_is_followed_to_what_it_interrupted() {
    // SAFETY: the handler only takes a copy of the stack, on a thread that waits for it in raise().
    unsafe {
        libc::signal(libc::SIGUSR2, on_signal as *const () as libc::sighandler_t);
        libc::raise(libc::SIGUSR2);
    }
    let captured = TAKEN.take().unwrap();
    let stack = received(&mut Stacks::new(), &captured);
    assert_eq!(stack.status, StackStatus::Ok, "{stack:x?}");
    let leaves: Vec<bool> = stack.frames.iter().map(|place| place.is_leaf).collect();
    assert_eq!(leaves.iter().filter(|is_leaf| **is_leaf).count(), 2, "{leaves:?}");
    assert!(stack.frames.len() > 8);
}

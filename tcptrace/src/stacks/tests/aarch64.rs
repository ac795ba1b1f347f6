//! Steps over stacks as they are on aarch64.

use gimli::UnwindContext;
use tcptrace_common::unwind::{Frame, Rule, Step, ra, step};

use super::super::arch::Arch;
use super::super::rules::{self, Query, SIGRETURN_BYTES};

const STACK: u64 = 0xffff_d000_0000;
const CALLER: u64 = 0xaaaa_0000_1234;
/// The same with a signature in the bits that no address has.
const SIGNED_CALLER: u64 = CALLER | 0x002b_0000_0000_0000;

/// A stack on which the n-th word is `words[n]`.
fn read(words: &[u64]) -> impl Fn(u64) -> Option<u64> {
    move |address| words.get(usize::try_from(address.checked_sub(STACK)? / 8).ok()?).copied()
}

fn leaf() -> Frame {
    Frame { pc: 0xffff_9000_0000, sp: STACK, bp: STACK + 32, link: SIGNED_CALLER, is_leaf: 1 }
}

fn undescribed(is_leaf: bool, is_go: bool, code: &[u8]) -> Rule {
    let mut bytes = [0; SIGRETURN_BYTES];
    bytes[..code.len()].copy_from_slice(code);
    let query = Query { pc: 0, address: 0, is_leaf, arch: Arch::Aarch64, is_go, code: bytes };
    rules::compile(None, &mut UnwindContext::new(), &query)
}

#[test]
fn a_leaf_returns_to_where_the_link_register_says() {
    let rule = undescribed(true, true, &[]);
    assert_eq!(rule.ra, ra::LINK);
    let caller = Frame { pc: CALLER, link: 0, is_leaf: 0, ..leaf() };
    assert_eq!(step(&leaf(), &rule, read(&[])), Step::Caller(caller));
    let not_a_leaf = Frame { is_leaf: 0, ..leaf() };
    assert_eq!(step(&not_a_leaf, &rule, read(&[])), Step::Broken, "it has called another one");
}

#[test]
fn a_frame_record_leads_to_the_caller() {
    let rule = undescribed(false, true, &[]);
    let words = [0, 0, 0, 0, STACK + 64, SIGNED_CALLER];
    let caller = Frame { pc: CALLER, sp: STACK + 48, bp: STACK + 64, link: 0, is_leaf: 0 };
    assert_eq!(step(&Frame { is_leaf: 0, ..leaf() }, &rule, read(&words)), Step::Caller(caller));
}

#[test]
fn a_signal_frame_leads_to_what_it_interrupted() {
    let sigreturn = [0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4];
    let rule = undescribed(false, false, &sigreturn);
    // siginfo 128 bytes, ucontext up to uc_mcontext 176, fault_address, x0 to x30, sp, pc.
    let mut words = vec![0; 128 / 8 + 176 / 8 + 1 + 31 + 2];
    let end = words.len();
    words[end - 4..].copy_from_slice(&[STACK + 8192, CALLER + 4, STACK + 4096, CALLER]);
    let interrupted =
        Frame { pc: CALLER, sp: STACK + 4096, bp: STACK + 8192, link: CALLER + 4, is_leaf: 1 };
    assert_eq!(step(&leaf(), &rule, read(&words)), Step::Caller(interrupted));
}

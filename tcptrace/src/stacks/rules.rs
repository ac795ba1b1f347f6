//! From unwind tables to the rule of one program counter.
//!
//! What the tables say is used where a rule can express it exactly; else the rule is that there is
//! none, and the stack is cut there.

use gimli::{CfaRule, RegisterRule, UnwindContext, UnwindExpression};
use tcptrace_common::unwind::{Rule, bp, cfa, ra, rule_flag};

use super::arch::Arch;
use super::expression::{self, Value};
use super::tables::{Row, Tables};

/// It is known that there is no rule.
pub const NONE: Rule = Rule {
    cfa: cfa::NONE,
    bp: bp::SAME,
    ra: ra::AT_CFA,
    flags: 0,
    cfa_offset: 0,
    bp_offset: 0,
    ra_offset: -8,
};
/// The outermost frame.
const END: Rule = Rule { cfa: cfa::END, ..NONE };
/// The frame pointer leads to the caller's, behind which the return address is: `push rbp; mov rbp,
/// rsp` or `stp x29, x30, […]; mov x29, sp` has run, as the Go toolchain has it in all functions
/// with a frame.
const FRAME_POINTER: Rule =
    Rule { cfa: cfa::BP, bp: bp::AT_CFA, cfa_offset: 16, bp_offset: -16, ..NONE };

/// `ucontext.uc_mcontext.gregs[REG_RSP]` seen from a signal handler's return address: the one
/// place where the CFA of a signal frame is.
const SIGNAL_SP: i64 = 160;
/// Bytes of code that tell a signal frame.
pub const SIGRETURN_BYTES: usize = 9;

/// The rule of code that nothing describes, taken to keep a chain of frame pointers.
#[must_use]
pub const fn assumed(arch: Arch) -> Rule {
    signed(arch, Rule { flags: rule_flag::ASSUMED, ..FRAME_POINTER })
}

const fn signed(arch: Arch, rule: Rule) -> Rule {
    match arch {
        Arch::X86_64 => rule,
        Arch::Aarch64 => Rule { flags: rule.flags | rule_flag::SIGNED, ..rule },
    }
}

/// The rule of a function without a frame.
const fn frameless(arch: Arch) -> Rule {
    match arch {
        Arch::X86_64 => Rule { cfa: cfa::SP, cfa_offset: 8, ..NONE },
        Arch::Aarch64 => signed(arch, Rule { cfa: cfa::SP, ra: ra::LINK, ..NONE }),
    }
}

/// The rule of a frame that a signal made.
const fn signal(arch: Arch) -> Rule {
    let (pc, sp, bp) = arch.signal_frame();
    Rule { cfa: cfa::SIGNAL, cfa_offset: sp, bp_offset: bp, ra_offset: pc, ..NONE }
}

/// A place in a file that a rule is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// Program counter in the process.
    pub pc: u64,
    /// The same in the file's own numbering.
    pub address: u64,
    /// Whether no call led there; a return address belongs to the call before it.
    pub is_leaf: bool,
    /// What the file's code is for.
    pub arch: Arch,
    /// Whether the Go toolchain made the file.
    pub is_go: bool,
    /// The code at `pc`, as far as it is known.
    pub code: [u8; SIGRETURN_BYTES],
}

/// The rule of a place in a file.
pub fn compile(tables: Option<&Tables>, context: &mut UnwindContext<usize>, query: &Query) -> Rule {
    let address = if query.is_leaf { query.address } else { query.address.wrapping_sub(1) };
    let described = tables.and_then(|tables| {
        tables.row(context, query.arch, address, |row| of_row(&row, query.pc).unwrap_or(NONE))
    });
    described.unwrap_or_else(|| undescribed(query, tables.is_some()))
}

/// The rule of code of which there is nothing but the code.
#[must_use]
pub fn of_bare_code(arch: Arch, code: [u8; SIGRETURN_BYTES]) -> Rule {
    let is_signal = arch.sigreturn().iter().any(|known| code.starts_with(known));
    if is_signal { signal(arch) } else { NONE }
}

/// The rule where no table describes the function.
fn undescribed(query: &Query, has_tables: bool) -> Rule {
    let arch = query.arch;
    let bare = of_bare_code(arch, query.code);
    if bare != NONE {
        return bare;
    }
    match (query.is_go, query.is_leaf) {
        (true, true) => frameless(arch),
        // With tables in the file there is C code in it, whose hand-written parts have none.
        (true, false) if !has_tables => signed(arch, FRAME_POINTER),
        (_, false) => assumed(arch),
        (false, true) => NONE,
    }
}

/// The rule of a row; `None`: it cannot be expressed.
pub fn of_row(row: &Row<'_>, pc: u64) -> Option<Rule> {
    let (ra, ra_offset) = match row.row.register(row.arch.return_address()) {
        Some(RegisterRule::Undefined) => return Some(END),
        Some(RegisterRule::Offset(_)) if row.is_signal => return None,
        Some(RegisterRule::Offset(offset)) => (ra::AT_CFA, offset),
        None | Some(RegisterRule::SameValue) if row.arch == Arch::Aarch64 => (ra::LINK, 0),
        _ => return (row.is_signal && is_signal_frame(row, pc)).then_some(signal(row.arch)),
    };
    let (cfa, cfa_offset) = cfa_of(row, pc)?;
    let (bp, bp_offset) = bp_of(row, pc)?;
    let rule = Rule {
        cfa,
        bp,
        ra,
        flags: 0,
        cfa_offset: cfa_offset.try_into().ok()?,
        bp_offset: bp_offset.try_into().ok()?,
        ra_offset: ra_offset.try_into().ok()?,
    };
    Some(signed(row.arch, rule))
}

fn is_signal_frame(row: &Row<'_>, pc: u64) -> bool {
    let CfaRule::Expression(expression) = row.row.cfa() else { return false };
    value(row, expression, pc) == Some(Value::AtSp(SIGNAL_SP))
}

fn cfa_of(row: &Row<'_>, pc: u64) -> Option<(u8, i64)> {
    match row.row.cfa() {
        CfaRule::RegisterAndOffset { register, offset } => {
            let is_sp = *register == row.arch.stack_pointer();
            let is_bp = *register == row.arch.frame_pointer();
            (is_sp || is_bp).then_some((if is_sp { cfa::SP } else { cfa::BP }, *offset))
        }
        CfaRule::Expression(expression) => match value(row, expression, pc)? {
            Value::Sp(offset) => Some((cfa::SP, offset)),
            Value::Bp(offset) => Some((cfa::BP, offset)),
            Value::AtBp(offset) => Some((cfa::AT_BP, offset)),
            Value::Number(_) | Value::AtSp(_) => None,
        },
    }
}

fn bp_of(row: &Row<'_>, pc: u64) -> Option<(u8, i64)> {
    match row.row.register(row.arch.frame_pointer()) {
        // The ABI has functions preserve it.
        None | Some(RegisterRule::SameValue) => Some((bp::SAME, 0)),
        Some(RegisterRule::Offset(offset)) => Some((bp::AT_CFA, offset)),
        Some(RegisterRule::Expression(expression)) => match value(row, &expression, pc)? {
            Value::Bp(offset) => Some((bp::AT_BP, offset)),
            _ => None,
        },
        Some(_) => None,
    }
}

/// What an expression says; those of other architectures than x86-64 are not read.
fn value(row: &Row<'_>, expression: &UnwindExpression<usize>, pc: u64) -> Option<Value> {
    if row.arch != Arch::X86_64 {
        return None;
    }
    expression::evaluate(expression.get(&row.section).ok()?, pc)
}

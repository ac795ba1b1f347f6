//! From unwind tables to the rule of one program counter.
//!
//! What the tables say is used where a rule can express it exactly; else the rule is that there is
//! none, and the stack is cut there.

use gimli::{CfaRule, RegisterRule, UnwindContext, UnwindExpression, X86_64};
use tcptrace_common::unwind::{Rule, bp, cfa, rule_flag};

use super::expression::{self, Value};
use super::tables::{Row, Tables};

/// It is known that there is no rule.
pub const NONE: Rule =
    Rule { cfa: cfa::NONE, bp: bp::SAME, flags: 0, pad: 0, cfa_offset: 0, bp_offset: 0 };
/// The outermost frame.
const END: Rule = Rule { cfa: cfa::END, ..NONE };
/// A frame that a signal made.
const SIGNAL: Rule = Rule { cfa: cfa::SIGNAL, ..NONE };
/// `push rbp; mov rbp, rsp` has run, as the Go toolchain has it in all functions with a frame.
const FRAME_POINTER: Rule =
    Rule { cfa: cfa::BP, bp: bp::AT_CFA, flags: 0, pad: 0, cfa_offset: 16, bp_offset: -16 };
/// The same, where nothing says so.
pub const ASSUMED: Rule = Rule { flags: rule_flag::ASSUMED, ..FRAME_POINTER };
/// A function without a frame: the return address is on top of the stack.
const FRAMELESS: Rule = Rule { cfa: cfa::SP, cfa_offset: 8, ..NONE };

/// `ucontext.uc_mcontext.gregs[REG_RSP]` seen from a signal handler's return address: the one
/// place where the CFA of a signal frame is.
const SIGNAL_SP: i64 = 160;
/// `mov $__NR_rt_sigreturn, %eax; syscall`, by which debuggers know a signal frame without tables.
const SIGRETURN: [&[u8]; 2] = [
    &[0x48, 0xc7, 0xc0, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05],
    &[0xb8, 0x0f, 0x00, 0x00, 0x00, 0x0f, 0x05],
];
/// Bytes of code that tell a signal frame.
pub const SIGRETURN_BYTES: usize = 9;

/// A place in a file that a rule is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Query {
    /// Program counter in the process.
    pub pc: u64,
    /// The same in the file's own numbering.
    pub address: u64,
    /// Whether no call led there; a return address belongs to the call before it.
    pub is_leaf: bool,
    /// Whether the Go toolchain made the file.
    pub is_go: bool,
    /// The code at `pc`, as far as it is known.
    pub code: [u8; SIGRETURN_BYTES],
}

/// The rule of a place in a file.
pub fn compile(tables: Option<&Tables>, context: &mut UnwindContext<usize>, query: &Query) -> Rule {
    let address = if query.is_leaf { query.address } else { query.address.wrapping_sub(1) };
    let described = tables.and_then(|tables| {
        tables.row(context, address, |row| of_row(&row, query.pc).unwrap_or(NONE))
    });
    described.unwrap_or_else(|| undescribed(query, tables.is_some()))
}

/// The rule where no table describes the function.
fn undescribed(query: &Query, has_tables: bool) -> Rule {
    if SIGRETURN.iter().any(|code| query.code.starts_with(code)) {
        return SIGNAL;
    }
    match (query.is_go, query.is_leaf) {
        (true, true) => FRAMELESS,
        // With tables in the file there is C code in it, whose hand-written parts have none.
        (true, false) if !has_tables => FRAME_POINTER,
        (_, false) => ASSUMED,
        (false, true) => NONE,
    }
}

/// The rule of a row; `None`: it cannot be expressed.
pub fn of_row(row: &Row<'_>, pc: u64) -> Option<Rule> {
    match row.row.register(X86_64::RA)? {
        RegisterRule::Undefined => return Some(END),
        RegisterRule::Offset(-8) if row.is_signal => return None,
        RegisterRule::Offset(-8) => {}
        _ => return (row.is_signal && is_signal_frame(row, pc)).then_some(SIGNAL),
    }
    let (cfa, cfa_offset) = cfa_of(row, pc)?;
    let (bp, bp_offset) = bp_of(row, pc)?;
    let (cfa_offset, bp_offset) = (cfa_offset.try_into().ok()?, bp_offset.try_into().ok()?);
    Some(Rule { cfa, bp, flags: 0, pad: 0, cfa_offset, bp_offset })
}

fn is_signal_frame(row: &Row<'_>, pc: u64) -> bool {
    let CfaRule::Expression(expression) = row.row.cfa() else { return false };
    value(row, expression, pc) == Some(Value::AtSp(SIGNAL_SP))
}

fn cfa_of(row: &Row<'_>, pc: u64) -> Option<(u8, i64)> {
    match row.row.cfa() {
        CfaRule::RegisterAndOffset { register: X86_64::RSP, offset } => Some((cfa::SP, *offset)),
        CfaRule::RegisterAndOffset { register: X86_64::RBP, offset } => Some((cfa::BP, *offset)),
        CfaRule::RegisterAndOffset { .. } => None,
        CfaRule::Expression(expression) => match value(row, expression, pc)? {
            Value::Sp(offset) => Some((cfa::SP, offset)),
            Value::Bp(offset) => Some((cfa::BP, offset)),
            Value::AtBp(offset) => Some((cfa::AT_BP, offset)),
            Value::Number(_) | Value::AtSp(_) => None,
        },
    }
}

fn bp_of(row: &Row<'_>, pc: u64) -> Option<(u8, i64)> {
    match row.row.register(X86_64::RBP) {
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

fn value(row: &Row<'_>, expression: &UnwindExpression<usize>, pc: u64) -> Option<Value> {
    expression::evaluate(expression.get(&row.section).ok()?, pc)
}

//! One step up a user stack, by a rule: the same code on both sides.
//!
//! User space compiles a rule for a program counter from the module's `.eh_frame`; the kernel
//! side looks rules up and walks. A rule says how to find the canonical frame address (CFA, the
//! stack pointer before the call), the return address and the caller's frame pointer. What the
//! frame pointer is differs by architecture, and so does where a call leaves the return address: on
//! the stack just below the CFA (x86-64), or in the link register (aarch64), from which the called
//! function may save it.

use crate::wire;

/// What a walk needs of the registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Frame {
    /// Program counter: of the next instruction in the innermost frame, a return address in
    /// others.
    pub pc: u64,
    /// Stack pointer.
    pub sp: u64,
    /// Frame pointer, `rbp` or `x29`, whatever the function uses it for.
    pub bp: u64,
    /// Link register, `x30`, of a frame that was reached by no call; else 0.
    pub link: u64,
    /// 1: `pc` was reached by no call: the innermost frame, or one that a signal interrupted.
    pub is_leaf: u64,
}
wire!(Frame, 40);

/// Key of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct RuleKey {
    /// Program counter as in [`Frame::pc`].
    pub pc: u64,
    /// Address space: user space gives each program image its own.
    pub tag: u32,
    /// As in [`Frame::is_leaf`]: a return address belongs to the call before it.
    pub is_leaf: u32,
}
wire!(RuleKey, 16);

/// Values of [`Rule::cfa`].
pub mod cfa {
    /// CFA = `sp` + `cfa_offset`.
    pub const SP: u8 = 1;
    /// CFA = `bp` + `cfa_offset`.
    pub const BP: u8 = 2;
    /// CFA = *(`bp` + `cfa_offset`): a function that realigns its stack and keeps the way back
    /// in memory.
    pub const AT_BP: u8 = 3;
    /// A signal frame: all registers are saved from `sp` on, the stack pointer at `cfa_offset`, the
    /// frame pointer at `bp_offset`, and on aarch64 the link register behind that.
    pub const SIGNAL: u8 = 4;
    /// The outermost frame: its return address is undefined.
    pub const END: u8 = 5;
    /// It is known that there is no rule.
    pub const NONE: u8 = 6;
}

/// Values of [`Rule::bp`].
pub mod bp {
    /// The caller's frame pointer is this frame's.
    pub const SAME: u8 = 0;
    /// It is saved at CFA + `bp_offset`.
    pub const AT_CFA: u8 = 1;
    /// It is saved at `bp` + `bp_offset`.
    pub const AT_BP: u8 = 2;
}

/// Values of [`Rule::ra`].
pub mod ra {
    /// The return address is saved at CFA + `ra_offset`; in a signal frame `sp` + `ra_offset`.
    pub const AT_CFA: u8 = 0;
    /// It is in the link register.
    pub const LINK: u8 = 1;
}

/// Bits of [`Rule::flags`].
pub mod rule_flag {
    /// Not from unwind information: the code is taken to keep a chain of frame pointers.
    pub const ASSUMED: u8 = 1;
    /// The return address may carry a signature in the bits that no address of a user has
    /// (aarch64, pointer authentication).
    pub const SIGNED: u8 = 2;
}

/// The bits of an address of a user on aarch64: 48, unless a program asks for more
/// (`Documentation/arch/arm64/memory.rst`).
const UNSIGNED: u64 = (1 << 48) - 1;

/// How to get from a frame to its caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Rule {
    /// [`cfa`].
    pub cfa: u8,
    /// [`bp`].
    pub bp: u8,
    /// [`ra`].
    pub ra: u8,
    /// [`rule_flag`].
    pub flags: u8,
    /// Offset in bytes.
    pub cfa_offset: i32,
    /// Offset in bytes.
    pub bp_offset: i32,
    /// Offset in bytes.
    pub ra_offset: i32,
}
wire!(Rule, 16);

/// Where a step leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To the caller.
    Caller(Frame),
    /// Nowhere: this was the outermost frame.
    End,
    /// The stack could not be read there.
    Unreadable,
    /// The stack makes no sense: it does not grow towards the caller.
    Broken,
}

/// Goes from a frame to its caller. `read` gives the 64-bit word at an address of the stack.
#[inline(always)]
pub fn step(frame: &Frame, rule: &Rule, mut read: impl FnMut(u64) -> Option<u64>) -> Step {
    if rule.cfa == cfa::SIGNAL {
        return interrupted(frame, rule, read);
    }
    if rule.cfa == cfa::END || (rule.cfa == cfa::BP && frame.bp == 0) {
        return Step::End;
    }
    let base = if rule.cfa == cfa::SP { frame.sp } else { frame.bp };
    let mut cfa = base.wrapping_add_signed(rule.cfa_offset as i64);
    if rule.cfa == cfa::AT_BP {
        let Some(value) = read(cfa) else { return Step::Unreadable };
        cfa = value;
    }
    // A function that saves nothing may have no frame at all, and cannot have called another one.
    let is_bare = rule.ra == ra::LINK;
    if cfa < frame.sp || (cfa == frame.sp && !is_bare) || (is_bare && frame.is_leaf == 0) {
        return Step::Broken;
    }
    let link = if is_bare {
        Some(frame.link)
    } else {
        read(cfa.wrapping_add_signed(rule.ra_offset as i64))
    };
    let Some(link) = link else { return Step::Unreadable };
    let saved = match rule.bp {
        bp::AT_CFA => read(cfa.wrapping_add_signed(rule.bp_offset as i64)),
        bp::AT_BP => read(frame.bp.wrapping_add_signed(rule.bp_offset as i64)),
        _ => Some(frame.bp),
    };
    let Some(bp) = saved else { return Step::Unreadable };
    let pc = if rule.flags & rule_flag::SIGNED != 0 { link & UNSIGNED } else { link };
    if pc == 0 {
        return Step::End;
    }
    Step::Caller(Frame { pc, sp: cfa, bp, link: 0, is_leaf: 0 })
}

#[inline(always)]
fn interrupted(frame: &Frame, rule: &Rule, mut read: impl FnMut(u64) -> Option<u64>) -> Step {
    let mut at = |offset: i32| read(frame.sp.wrapping_add_signed(offset as i64));
    let registers = (at(rule.ra_offset), at(rule.cfa_offset), at(rule.bp_offset));
    let (Some(pc), Some(sp), Some(bp)) = registers else { return Step::Unreadable };
    let Some(link) = at(rule.bp_offset.wrapping_add(8)) else { return Step::Unreadable };
    Step::Caller(Frame { pc, sp, bp, link, is_leaf: 1 })
}

/// Folds one word into the identity of a stack.
#[inline(always)]
#[must_use]
pub const fn fold(hash: u64, word: u64) -> u64 {
    let mixed = (hash ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed ^ (mixed >> 29)
}

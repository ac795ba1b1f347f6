//! The trail of a walk through a stack: which words it depended on.
//!
//! A walk is a function of the registers in the innermost frame, of the rules, which never change
//! under one tag, and of the words that it reads. A server accepts from one place, so most of its
//! stacks are the same to the word; comparing some dozens of words, which lie close together,
//! costs a fraction of looking up a rule for each frame. Where each word is as it was, the walk
//! would give what it gave. A saved frame pointer counts only where a rule used it: between, it is
//! whatever the program keeps in that register.

use crate::unwind::{Frame, Rule, Step, bp, cfa, fold, ra, rule_flag};
use crate::wire;

/// Most words of one trail.
pub const TRAIL_WORDS: usize = 64;
/// Most bytes of stack that a trail covers.
pub const TRAIL_SPAN: u64 = 8 << 10;

/// Bit of [`Trail::at`]: the word is a return address. The others say how many words it lies above
/// the stack pointer.
pub const RETURN: u16 = 1 << 15;
const PLACE: u16 = RETURN - 1;

/// Key of a trail: the innermost frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct TrailKey {
    /// Its program counter.
    pub pc: u64,
    /// Its stack pointer.
    pub sp: u64,
    /// Tag under which rules were looked up.
    pub tag: u64,
}
wire!(TrailKey, 24);

/// What a walk that came to the outermost frame depended on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Trail {
    /// A hash of all the rest and the key: another CPU may replace a trail while it is read.
    pub seal: u64,
    /// The frame pointer in the innermost frame.
    pub bp: u64,
    /// All ones where a rule used that frame pointer, else 0.
    pub bp_mask: u64,
    /// Bytes from the stack pointer to behind the last word.
    pub span: u32,
    /// Words that are filled.
    pub count: u32,
    /// [`crate::stack::stack_flag`] of the walk.
    pub flags: u32,
    /// Padding.
    pub pad: u32,
    /// Where each word lies, and [`RETURN`].
    pub at: [u16; TRAIL_WORDS],
    /// Its value.
    pub words: [u64; TRAIL_WORDS],
}
wire!(Trail, 40 + 2 * TRAIL_WORDS + 8 * TRAIL_WORDS);

impl TrailKey {
    /// Of a walk that begins at `leaf`.
    #[inline(always)]
    #[must_use]
    pub const fn new(leaf: &Frame, tag: u32) -> Self {
        Self { pc: leaf.pc, sp: leaf.sp, tag: tag as u64 }
    }
}

impl Trail {
    /// The hash of the key and what is not in the words.
    #[inline(always)]
    #[must_use]
    pub const fn seed(&self, key: &TrailKey) -> u64 {
        let numbers = (self.span as u64) << 32 | (self.count as u64) << 16 | self.flags as u64;
        let of_key = fold(fold(key.sp, key.pc), key.tag);
        fold(fold(of_key, self.bp & self.bp_mask), numbers ^ self.bp_mask)
    }
}

/// Folds one word of a trail into its seal.
#[inline(always)]
#[must_use]
pub const fn seal(hash: u64, at: u16, word: u64) -> u64 {
    fold(hash, word ^ (at as u64) << 48)
}

/// Notes a trail during a walk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Noting {
    key: TrailKey,
    seal: u64,
    /// Address from which the frame pointer was loaded; 0: it is still that of the innermost
    /// frame.
    bp_at: u64,
    /// 1: the frame pointer is noted already.
    is_bp_noted: u32,
    /// 1: there can be no trail of this walk.
    is_lost: u32,
}
wire!(Noting, 48);

impl Noting {
    /// Begins at the innermost frame.
    #[inline(always)]
    #[must_use]
    pub fn begin(trail: &mut Trail, key: TrailKey, bp: u64) -> Self {
        (trail.bp, trail.bp_mask) = (bp, 0);
        (trail.span, trail.count, trail.flags, trail.pad) = (0, 0, 0, 0);
        Self { key, ..Self::default() }
    }

    /// Notes one step, which led where `step` says.
    #[inline(always)]
    pub fn note(&mut self, trail: &mut Trail, frame: &Frame, rule: &Rule, step: &Step) {
        if rule.cfa == cfa::SIGNAL || rule.ra != ra::AT_CFA || rule.flags & rule_flag::SIGNED != 0 {
            self.is_lost = 1;
            return;
        }
        if rule.cfa == cfa::END {
            return;
        }
        if rule.cfa != cfa::SP || rule.bp == bp::AT_BP {
            self.note_bp(trail, frame.bp);
        }
        if rule.cfa == cfa::BP && frame.bp == 0 {
            return;
        }
        let base = if rule.cfa == cfa::SP { frame.sp } else { frame.bp };
        let at = base.wrapping_add_signed(rule.cfa_offset as i64);
        match step {
            Step::Caller(caller) => {
                if rule.cfa == cfa::AT_BP {
                    self.push(trail, at, 0, caller.sp);
                }
                let returns = caller.sp.wrapping_add_signed(rule.ra_offset as i64);
                self.push(trail, returns, RETURN, caller.pc);
                self.follow_bp(frame, rule, caller);
            }
            // The return address was 0.
            Step::End if rule.cfa != cfa::AT_BP => {
                self.push(trail, at.wrapping_add_signed(rule.ra_offset as i64), 0, 0);
            }
            _ => self.is_lost = 1,
        }
    }

    /// The key and the trail's seal, when the walk has come to the outermost frame; `None` where
    /// there can be no trail.
    #[inline(always)]
    pub fn end(&self, trail: &mut Trail, flags: u32) -> Option<TrailKey> {
        if self.is_lost != 0 {
            return None;
        }
        trail.flags = flags;
        trail.seal = self.seal ^ trail.seed(&self.key);
        Some(self.key)
    }

    /// The result depends on the frame pointer from here on.
    #[inline(always)]
    fn note_bp(&mut self, trail: &mut Trail, bp: u64) {
        if self.is_bp_noted != 0 {
            return;
        }
        self.is_bp_noted = 1;
        if self.bp_at == 0 {
            trail.bp_mask = u64::MAX;
        } else {
            self.push(trail, self.bp_at, 0, bp);
        }
    }

    /// Where the caller's frame pointer comes from.
    #[inline(always)]
    fn follow_bp(&mut self, frame: &Frame, rule: &Rule, caller: &Frame) {
        let base = match rule.bp {
            bp::AT_CFA => caller.sp,
            bp::AT_BP => frame.bp,
            _ => return,
        };
        self.bp_at = base.wrapping_add_signed(rule.bp_offset as i64);
        self.is_bp_noted = 0;
    }

    #[inline(always)]
    fn push(&mut self, trail: &mut Trail, address: u64, kind: u16, word: u64) {
        let (offset, index) = (address.wrapping_sub(self.key.sp), trail.count as usize);
        let at = (offset >> 3) as u16 | kind;
        // Masked and written in any case: of an index that was compared before, the compiler drops
        // the mask, and the kernel's verifier refuses what is left.
        trail.at[index & (TRAIL_WORDS - 1)] = at;
        trail.words[index & (TRAIL_WORDS - 1)] = word;
        trail.count = index as u32 + 1;
        self.seal = seal(self.seal, at, word);
        if offset >= TRAIL_SPAN || offset & 7 != 0 || index >= TRAIL_WORDS {
            self.is_lost = 1;
        } else if offset as u32 + 8 > trail.span {
            trail.span = offset as u32 + 8;
        }
    }
}

/// Compares a trail with a stack, word by word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    seal: u64,
    differs: u64,
}

impl Comparison {
    /// Begins at an innermost frame. The trail is that of its key.
    #[inline(always)]
    #[must_use]
    pub const fn begin(trail: &Trail, leaf: &Frame) -> Self {
        Self { seal: 0, differs: (trail.bp ^ leaf.bp) & trail.bp_mask }
    }

    /// Which word of the stack is compared next, above the stack pointer; within the span where
    /// the trail is whole.
    #[inline(always)]
    #[must_use]
    pub const fn place(at: u16) -> usize {
        (at & PLACE) as usize
    }

    /// Compares one word.
    #[inline(always)]
    pub const fn compare(&mut self, at: u16, expected: u64, found: u64) {
        self.differs |= expected ^ found;
        self.seal = seal(self.seal, at, expected);
    }

    /// Whether all was as it was; to be asked after the trail's last word.
    #[inline(always)]
    #[must_use]
    pub const fn holds(&self, trail: &Trail, key: &TrailKey) -> bool {
        self.differs == 0 && self.seal ^ trail.seed(key) == trail.seal
    }
}

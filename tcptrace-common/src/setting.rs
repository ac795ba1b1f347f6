//! Settings of the kernel side, written into the read-only array `SETTINGS` before loading, so
//! that the verifier removes what is switched off.

/// A setting; the discriminant is its index in `SETTINGS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Setting {
    /// Bit `1 << state`: a transition out of this state is worth a record.
    RecordStates,
    /// Transitions that end a shorter dwell than this many ns, or one of unknown length, are not
    /// worth a record; 0: all are.
    RecordMinDwellNs,
    /// 1: pids are those of the pid namespace in `OBSERVER`, 0: of the initial one.
    TranslatePids,
    /// 1: stacks are wanted.
    Stacks,
}

/// How many settings there are: the length of `SETTINGS`.
pub const COUNT: usize = 4;

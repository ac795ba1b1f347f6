//! Copied stacks, and walking on over them.

use tcptrace::stacks::record::{Record, announcement};
use tcptrace::stacks::walk::{Walked, resume};
use tcptrace_common::stack::MAX_FRAMES;
use tcptrace_common::unwind::{Rule, bp, cfa};

/// A record of a stack. The rules by which it is walked on come from its own addresses.
pub fn stack(bytes: &[u8]) {
    let _ = announcement(bytes);
    let Ok(record) = Record::decode(bytes) else { return };
    let frontier = record.header.frontier;
    let mut frames = vec![Walked { pc: frontier.pc, is_leaf: frontier.is_leaf != 0 }];
    resume(&record, &mut frames, |frame| rule(frame.pc));
    assert!(frames.len() <= MAX_FRAMES);
}

/// Some rule for any address, of each kind and with any offsets.
fn rule(pc: u64) -> Option<Rule> {
    const CFA: [u8; 6] = [cfa::SP, cfa::BP, cfa::AT_BP, cfa::END, cfa::SIGNAL, cfa::NONE];
    const BP: [u8; 3] = [bp::SAME, bp::AT_CFA, bp::AT_BP];
    let [kinds, flags, a, b, c, d, _, _] = pc.to_le_bytes();
    Some(Rule {
        cfa: CFA[usize::from(kinds) % CFA.len()],
        bp: BP[usize::from(kinds >> 4) % BP.len()],
        ra: flags >> 2 & 1,
        flags: flags & 3,
        cfa_offset: i32::from_le_bytes([a, b, c, d]),
        bp_offset: i16::from_le_bytes([c, a]).into(),
        ra_offset: i16::from_le_bytes([b, d]).into(),
    })
}

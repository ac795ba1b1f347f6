//! The record of a stack, decoded.

use anyhow::{Context as _, Result, ensure};
use tcptrace_common::Wire;
use tcptrace_common::stack::{MAX_COPY, MAX_FRAMES, MAX_PYTHON, PythonFrame, StackHeader, end};

/// Where the parts of a record begin.
const FRAMES: usize = StackHeader::SIZE;
const PYTHON: usize = FRAMES + 8 * MAX_FRAMES;
/// Where the copied stack begins.
pub const COPY: usize = PYTHON + PythonFrame::SIZE * MAX_PYTHON;

/// A stack as the kernel side sent it.
#[derive(Clone, Debug)]
pub struct Record<'a> {
    /// Its head.
    pub header: StackHeader,
    /// Program counters, innermost first; at least one.
    pub pcs: Vec<u64>,
    /// Python frames, innermost first.
    pub python: Vec<PythonFrame>,
    /// The stack from the frontier's `sp` on.
    pub copy: &'a [u8],
}

impl<'a> Record<'a> {
    /// Decodes a record. The ring may pad it at its end.
    ///
    /// # Errors
    ///
    /// It is cut short or says what cannot be.
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        let header = StackHeader::from_bytes(bytes).context("a stack record is cut short")?;
        let (frames, python) = (header.frames as usize, header.python as usize);
        let copied = header.copied as usize;
        ensure!((1..=MAX_FRAMES).contains(&frames), "a stack record has {frames} frames");
        ensure!(python <= MAX_PYTHON, "a stack record has {python} Python frames");
        ensure!(copied <= MAX_COPY, "a stack record has {copied} bytes of stack");
        let part = |from: usize, length: usize| {
            let bytes = bytes.get(from..).and_then(|bytes| bytes.get(..length));
            bytes.context("a stack record is cut short")
        };
        let pcs = words(part(FRAMES, 8 * frames)?);
        let python =
            list(if python == 0 { &[] } else { part(PYTHON, PythonFrame::SIZE * python)? });
        let copy = if copied == 0 { &[] } else { part(COPY, copied)? };
        ensure!(
            !matches!(header.end, end::NO_RULE | end::NO_PROCESS)
                || pcs.last() == Some(&header.frontier.pc),
            "a stack record does not end at its frontier"
        );
        Ok(Self { header, pcs, python, copy })
    }

    /// The 64-bit word of the copied stack at an address.
    #[must_use]
    pub fn word(&self, address: u64) -> Option<u64> {
        let at = usize::try_from(address.checked_sub(self.header.frontier.sp)?).ok()?;
        Some(u64::from_le_bytes(self.copy.get(at..)?.first_chunk().copied()?))
    }
}

/// The head of a record that brings no stack and announces a program that runs Python.
#[must_use]
pub fn announcement(record: &[u8]) -> Option<StackHeader> {
    StackHeader::from_bytes(record).filter(|header| header.end == end::PYTHON_STARTS)
}

fn words(bytes: &[u8]) -> Vec<u64> {
    let (words, _) = bytes.as_chunks();
    words.iter().map(|word| u64::from_le_bytes(*word)).collect()
}

fn list(bytes: &[u8]) -> Vec<PythonFrame> {
    bytes.chunks_exact(PythonFrame::SIZE).filter_map(PythonFrame::from_bytes).collect()
}

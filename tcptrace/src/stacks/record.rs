//! The record of a stack, decoded.

use anyhow::{Context as _, Result, ensure};
use tcptrace_common::Wire;
use tcptrace_common::stack::{MAX_COPY, MAX_FRAMES, MAX_PYTHON, PythonFrame, StackHeader, end};

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
        let (pcs, rest) = words(bytes.get(StackHeader::SIZE..).unwrap_or_default(), frames)?;
        let (python, rest) = list(rest, python)?;
        let copy = rest.get(..copied).context("a stack record is cut short")?;
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

fn words(bytes: &[u8], count: usize) -> Result<(Vec<u64>, &[u8])> {
    let (head, rest) = bytes.split_at_checked(8 * count).context("a stack record is cut short")?;
    let (words, _) = head.as_chunks();
    Ok((words.iter().map(|word| u64::from_le_bytes(*word)).collect(), rest))
}

fn list(bytes: &[u8], count: usize) -> Result<(Vec<PythonFrame>, &[u8])> {
    let size = PythonFrame::SIZE * count;
    let (head, rest) = bytes.split_at_checked(size).context("a stack record is cut short")?;
    Ok((head.chunks_exact(PythonFrame::SIZE).filter_map(PythonFrame::from_bytes).collect(), rest))
}

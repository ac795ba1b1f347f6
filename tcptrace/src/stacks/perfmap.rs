//! Names for code made at run time: `/tmp/perf-PID.map`, as JVMs and V8 write it.
//!
//! A line is `START SIZE NAME`, both numbers hexadecimal, with or without `0x`. The process may
//! write there what it likes: whatever is no such line is left out, and nothing here takes more
//! than memory in proportion to the file, whose size is bounded.

mod file;
mod names;
mod spans;

pub use file::MapFile;
pub use names::{JitName, jit_name};

use spans::Span;

/// Lines that are read; of more, the last ones.
const LINES_MAX: usize = 1 << 20;
/// Bytes of a name that are kept.
const NAME_MAX: usize = 1024;

/// A perf map. Of entries that overlap the later one counts: code memory is reused.
#[derive(Debug, Default)]
pub struct PerfMap {
    text: Vec<u8>,
    spans: Vec<Span>,
}

impl PerfMap {
    /// Reads the lines.
    #[must_use]
    pub fn parse(text: Vec<u8>) -> Self {
        let mut entries: Vec<Span> = lines_backwards(&text)
            .take(LINES_MAX)
            .filter_map(|(at, line)| entry(at, line))
            .collect();
        entries.reverse();
        Self { spans: spans::resolve(entries), text }
    }

    /// The name of what is at an address.
    #[must_use]
    pub fn find(&self, address: u64) -> Option<&[u8]> {
        let behind = self.spans.partition_point(|span| span.start <= address);
        let span = self.spans.get(behind.checked_sub(1)?)?;
        let (from, to) = span.name;
        (address < span.end).then(|| self.text.get(from as usize..to as usize))?
    }
}

/// Lines and where they begin, the last one first.
fn lines_backwards(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut end = text.len();
    text.rsplit(|byte| *byte == b'\n').map(move |line| {
        let at = end - line.len();
        end = at.saturating_sub(1);
        (at, line)
    })
}

/// An entry from the line that begins at `at`.
fn entry(at: usize, line: &[u8]) -> Option<Span> {
    let (start, rest) = number(line)?;
    let (size, rest) = number(rest)?;
    let name = rest.trim_ascii();
    let end = start.checked_add(size).filter(|end| *end > start)?;
    if name.is_empty() {
        return None;
    }
    // Both are parts of one slice; trimming only moves the bounds.
    let offset =
        line.len() - rest.len() + rest.iter().position(|byte| !byte.is_ascii_whitespace())?;
    let from = u32::try_from(at + offset).ok()?;
    let to = from.checked_add(u32::try_from(name.len().min(NAME_MAX)).ok()?)?;
    Some(Span { start, end, name: (from, to) })
}

/// A hexadecimal number, blanks before it, and what stands behind the blank that ends it.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let text = text.trim_ascii_start();
    let end = text.iter().position(|byte| matches!(byte, b' ' | b'\t'))?;
    let (digits, rest) = text.split_at(end);
    let digits = digits.strip_prefix(b"0x").or(digits.strip_prefix(b"0X")).unwrap_or(digits);
    let all_digits = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| all_digits)?;
    Some((u64::from_str_radix(digits, 16).ok()?, rest))
}

#[cfg(test)]
mod tests;

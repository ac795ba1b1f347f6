//! From entries that may overlap to spans that do not.

use std::collections::BinaryHeap;

/// A range of addresses and where its name is in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First address.
    pub start: u64,
    /// First address behind it.
    pub end: u64,
    /// First byte of the name, and the first one behind it.
    pub name: (u32, u32),
}

/// Spans in the order of addresses. Of entries that overlap the later one counts; at most twice as
/// many spans come out as entries went in. A sweep over all bounds, with the entries that are open
/// in a heap: n log n, however they overlap.
pub fn resolve(entries: Vec<Span>) -> Vec<Span> {
    let mut bounds: Vec<u64> = entries.iter().flat_map(|own| [own.start, own.end]).collect();
    bounds.sort_unstable();
    bounds.dedup();
    let mut by_start: Vec<usize> = (0..entries.len()).collect();
    by_start.sort_by_key(|index| entries[*index].start);
    let mut waiting = by_start.into_iter().peekable();
    let mut open: BinaryHeap<usize> = BinaryHeap::new();
    let mut spans: Vec<Span> = Vec::new();
    for pair in bounds.windows(2) {
        let &[start, end] = pair else { continue };
        while let Some(index) = waiting.next_if(|index| entries[*index].start <= start) {
            open.push(index);
        }
        while open.peek().is_some_and(|index| entries[*index].end <= start) {
            open.pop();
        }
        if let Some(index) = open.peek() {
            push(&mut spans, Span { start, end, name: entries[*index].name });
        }
    }
    spans
}

/// Adds a span; one that goes on where the last one ends, with its name, becomes part of it.
fn push(spans: &mut Vec<Span>, next: Span) {
    match spans.last_mut() {
        Some(last) if last.end == next.start && last.name == next.name => last.end = next.end,
        _ => spans.push(next),
    }
}

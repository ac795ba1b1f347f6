//! Bounded reads of files and tables that strangers made.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

/// `size` bytes of a file from `offset` on; `None` where that is more than `most`, or the file ends
/// before it.
#[must_use]
pub fn read(file: &File, offset: u64, size: u64, most: u64) -> Option<Vec<u8>> {
    let is_there = offset.checked_add(size)? <= file.metadata().ok()?.len();
    if !is_there || size > most {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    file.read_exact_at(&mut bytes, offset).ok()?;
    Some(bytes)
}

/// The little-endian number of 16 bits at a place.
#[must_use]
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

/// The same of 32 bits.
#[must_use]
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

/// The same of 64 bits.
#[must_use]
pub fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..)?.first_chunk().copied()?))
}

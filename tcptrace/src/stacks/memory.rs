//! The memory of another process: bounded reads of data from a stranger.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use crate::errand::{self, What};

/// `/proc/PID/mem`, kept open: it stays with the program image that it was opened for, and reads
/// nothing once that is gone, whoever gets the id.
#[derive(Debug)]
pub struct Memory(File);

impl Memory {
    /// Opens the memory of a process.
    pub fn open(pid: u32) -> io::Result<Self> {
        File::open(format!("/proc/{pid}/mem")).map(Self)
    }

    /// Reads up to `buffer.len()` bytes; gives what could be read, none at worst.
    pub fn read<'a>(&self, address: u64, buffer: &'a mut [u8]) -> &'a [u8] {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, address.wrapping_add(done as u64)) {
                Ok(count) if count > 0 => done += count,
                _ => break,
            }
        }
        &buffer[..done]
    }

    /// `N` bytes.
    pub fn array<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        (self.read(address, &mut bytes).len() == N).then_some(bytes)
    }

    /// A word of 64 bits.
    pub fn word(&self, address: u64) -> Option<u64> {
        self.array(address).map(u64::from_le_bytes)
    }

    /// A word of 32 bits.
    pub fn half(&self, address: u64) -> Option<u32> {
        self.array(address).map(u32::from_le_bytes)
    }

    /// Up to `count` words, as many as could be read.
    pub fn words(&self, address: u64, count: usize) -> Vec<u64> {
        let mut bytes = vec![0; count * 8];
        let (words, _) = self.read(address, &mut bytes).as_chunks();
        words.iter().map(|word| u64::from_le_bytes(*word)).collect()
    }
}

/// Bytes of a process's memory, such as code made at run time; `None`: they cannot be read.
#[must_use]
pub fn read<const N: usize>(pid: u32, address: u64) -> Option<[u8; N]> {
    errand::run(pid, What::Memory, move || Memory::open(pid).ok()?.array(address)).ok()?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_this_process_is_read() {
        let word = std::hint::black_box(0x1234_5678_9abc_def0_u64);
        let bytes = read::<8>(std::process::id(), std::ptr::from_ref(&word) as u64);
        assert_eq!(bytes, Some(word.to_le_bytes()));
        assert_eq!(read::<8>(std::process::id(), 8), None);
    }

    #[test]
    fn what_is_not_mapped_reads_as_nothing() {
        let own = Memory::open(std::process::id()).unwrap();
        let value = 0x1122_3344_5566_7788_u64;
        let address = std::ptr::from_ref(&value).addr() as u64;
        assert_eq!(own.word(address), Some(value));
        assert_eq!(own.half(address), Some(0x5566_7788));
        assert_eq!(own.words(address, 1), [value]);
        for nowhere in [0, 8, u64::MAX, u64::MAX - 7, 1 << 63, 0xffff_8000_0000_0000] {
            assert_eq!(own.word(nowhere), None, "{nowhere:#x}");
            assert_eq!(own.words(nowhere, 4), [0_u64; 0], "{nowhere:#x}");
        }
    }
}

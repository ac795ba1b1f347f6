//! CPython: its program file, its table of offsets, its tables of lines.

use tcptrace::stacks::python::elf::Elf;
use tcptrace::stacks::python::layout::{Version, of};
use tcptrace::stacks::python::lines::line_at;

use super::files::file;

/// Versions whose offsets come from the process.
const TOLD: [u32; 2] = [0x030d_00f0, 0x030e_00f0];

/// Dynamic symbols of a file.
pub fn elf(bytes: &[u8]) {
    let file = file(bytes);
    let Some(elf) = Elf::open(&file) else { return };
    let _ = elf.symbols(["_PyRuntime", "Py_Version"]);
    let _ = (elf.bias(1 << 40, 0), elf.bias(u64::MAX, u64::MAX));
}

/// `_Py_DebugOffsets`, as the process shows it.
pub fn layout(bytes: &[u8]) {
    let (words, _) = bytes.as_chunks();
    let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
    for version in TOLD {
        let _ = of(Version(version), &words);
    }
    let _ = of(Version(words.first().map_or(0, |word| *word as u32)), &words);
}

/// The location table of a code object.
pub fn lines(bytes: &[u8]) {
    let Some((first, table)) = bytes.split_first_chunk() else { return };
    let first = u32::from_le_bytes(*first);
    for offset in [0, 2, 64, 1000, u64::MAX] {
        let _ = line_at(table, first, offset);
    }
}

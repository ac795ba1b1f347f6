//! Code objects in the memory of a process: the name, file and line of a Python function.
//!
//! The process may have freed the object meanwhile and hostile ones can show anything, so types
//! are checked by name, and every length is bounded.

use super::layout::Offsets;
use super::lines;
use crate::stacks::memory::Memory;
use crate::stacks::raw::PythonPlace;

/// `ob_type` in `PyObject`, `tp_name` in `PyTypeObject` (`Include/object.h`; builds with the
/// GIL).
const OB_TYPE: u64 = 8;
const TP_NAME: u64 = 24;
/// `ob_size` in `PyVarObject`; `ob_sval` in `PyBytesObject`.
const OB_SIZE: u64 = 16;
const BYTES: u64 = 32;
/// `length` and `state` in `PyASCIIObject` (`Include/cpython/unicodeobject.h`).
const LENGTH: u64 = 16;
const STATE: u64 = 32;
const COMPACT: u32 = 1 << 5;
const ASCII: u32 = 1 << 6;

/// Most characters of a name that are shown.
const MAX_NAME: u64 = 256;
/// Most characters of a path that are shown.
const MAX_PATH: u64 = 1024;
/// Largest location table that is read; more than a module of 100,000 lines has.
const MAX_LINE_TABLE: u64 = 1 << 20;

/// What tells one code object from another at the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Address of the object.
    pub code: u64,
    /// Address of its location table.
    line_table: u64,
    /// Its first line.
    first_line: u32,
    filename: u64,
    qualname: u64,
}

/// Reads code objects of one process.
#[derive(Debug)]
pub struct CodeReader<'a> {
    /// The process.
    pub memory: &'a Memory,
    /// Those of its CPython.
    pub offsets: &'a Offsets,
}

impl CodeReader<'_> {
    /// Looks at a code object; `None`: there is none.
    pub fn identify(&self, code: u64) -> Option<Identity> {
        let at = &self.offsets.code;
        let word = |offset: u64| self.memory.word(code.wrapping_add(offset));
        if !self.is_a(code, "code") {
            return None;
        }
        Some(Identity {
            code,
            line_table: word(at.line_table)?,
            first_line: self.memory.half(code.wrapping_add(at.first_line))?,
            filename: word(at.filename)?,
            qualname: word(at.qualname)?,
        })
    }

    /// Names the instruction at this address.
    pub fn place(&self, of: &Identity, instruction: u64) -> Option<PythonPlace> {
        Some(PythonPlace {
            function: self.text(of.qualname, MAX_NAME)?,
            file: self.text(of.filename, MAX_PATH)?,
            line: self.line(of, instruction),
        })
    }

    fn line(&self, of: &Identity, instruction: u64) -> Option<u32> {
        let first = of.code.wrapping_add(self.offsets.code.instructions);
        match instruction.wrapping_sub(first).cast_signed() {
            // Not begun: 3.11 and 3.12 keep the unit before the next instruction.
            -2 => Some(of.first_line),
            offset => {
                let offset = u64::try_from(offset).ok()?;
                lines::line_at(&self.bytes(of.line_table)?, of.first_line, offset)
            }
        }
    }

    fn is_a(&self, object: u64, type_name: &str) -> bool {
        let mut buffer = [0; 8];
        let Some(name) = self.type_name(object) else { return false };
        let name = self.memory.read(name, &mut buffer);
        name.strip_prefix(type_name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
    }

    fn type_name(&self, object: u64) -> Option<u64> {
        let kind = self.memory.word(object.wrapping_add(OB_TYPE))?;
        self.memory.word(kind.wrapping_add(TP_NAME))
    }

    fn bytes(&self, object: u64) -> Option<Vec<u8>> {
        if !self.is_a(object, "bytes") {
            return None;
        }
        let size = self.memory.word(object.wrapping_add(OB_SIZE))?.min(MAX_LINE_TABLE);
        self.exactly(object.wrapping_add(BYTES), size)
    }

    /// A string; what is longer than `limit` characters is cut, and shows it.
    fn text(&self, object: u64, limit: u64) -> Option<String> {
        if !self.is_a(object, "str") {
            return None;
        }
        let length = self.memory.word(object.wrapping_add(LENGTH))?;
        let state = self.memory.half(object.wrapping_add(STATE))?;
        let width = u64::from((state >> 2) & 7);
        if state & COMPACT == 0 || !matches!(width, 1 | 2 | 4) {
            return None;
        }
        let is_ascii = state & ASCII != 0;
        let start = if is_ascii { self.offsets.ascii_text } else { self.offsets.wide_text };
        let raw = self.exactly(object.wrapping_add(start), length.min(limit) * width)?;
        let mut text = decode(&raw, width as usize);
        if length > limit {
            text.push('…');
        }
        Some(text)
    }

    fn exactly(&self, address: u64, size: u64) -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(size).ok()?];
        let is_whole = self.memory.read(address, &mut bytes).len() == bytes.len();
        is_whole.then_some(bytes)
    }
}

/// Characters of one, two or four bytes each. Halves of surrogate pairs, by which CPython keeps
/// bytes of file names that are not UTF-8, are no characters.
fn decode(raw: &[u8], width: usize) -> String {
    let character = |unit: &[u8]| {
        let number = unit.iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte));
        char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER)
    };
    raw.chunks_exact(width).map(character).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_every_width() {
        assert_eq!(decode(b"caf\xe9", 1), "café");
        assert_eq!(decode(&[0xe5, 0x65, 0x2c, 0x67, 0x80, 0xdc], 2), "日本\u{fffd}");
        assert_eq!(decode(&[0x40, 0xf6, 1, 0, 0xff, 0xff, 0xff, 0xff], 4), "🙀\u{fffd}");
        assert_eq!(decode(&[], 4), "");
    }
}

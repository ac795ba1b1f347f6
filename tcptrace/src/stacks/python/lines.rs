//! The location table of a code object: which source line an instruction came from.
//!
//! Format: CPython 3.11, `Objects/locations.md` and `Include/internal/pycore_code.h`
//! (PEP 657); the same in 3.12 to 3.14. Each entry covers 1 to 8 code units. Its first byte has
//! the top bit set and no other has, so what is not needed can be skipped.

/// Bytes of a code unit.
const UNIT: u64 = 2;
/// First byte of an entry.
const ENTRY: u8 = 0x80;

/// Kinds of entries, from `enum _PyCodeLocationInfoKind`; below [`ONE_LINE`] the line is that of
/// the entry before.
const ONE_LINE: u8 = 10;
const ONE_LINE_LAST: u8 = 12;
const NO_COLUMNS: u8 = 13;
const LONG: u8 = 14;
const NONE: u8 = 15;

/// Line of the instruction at this offset in bytes from the first one. `None`: the table does
/// not tell, as for instructions that no source stands for.
#[must_use]
pub fn line_at(table: &[u8], first_line: u32, offset: u64) -> Option<u32> {
    let mut line = i64::from(first_line);
    let mut end = 0;
    let mut rest = table;
    while let Some((head, tail)) = rest.split_first() {
        let length = tail.iter().position(|byte| byte & ENTRY != 0).unwrap_or(tail.len());
        let (entry, next) = tail.split_at(length);
        let kind = (head >> 3) & 15;
        line = line.checked_add(line_delta(kind, entry))?;
        end += (u64::from(head & 7) + 1) * UNIT;
        if offset < end {
            return (kind != NONE).then(|| u32::try_from(line).ok().filter(|line| *line > 0))?;
        }
        rest = next;
    }
    None
}

fn line_delta(kind: u8, entry: &[u8]) -> i64 {
    match kind {
        ONE_LINE..=ONE_LINE_LAST => i64::from(kind - ONE_LINE),
        NO_COLUMNS | LONG => signed(varint(entry)),
        _ => 0,
    }
}

/// Six bits a byte, the lowest first; bit 6 says that more follow. Bits beyond 32 are none of a
/// real table.
fn varint(bytes: &[u8]) -> u32 {
    let mut value = 0_u32;
    for (index, byte) in bytes.iter().take(6).enumerate() {
        value |= (u32::from(byte & 0x3f)).wrapping_shl(6 * index as u32);
        if byte & 0x40 == 0 {
            break;
        }
    }
    value
}

/// The sign is in the lowest bit.
fn signed(value: u32) -> i64 {
    let magnitude = i64::from(value >> 1);
    if value & 1 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_every_kind() {
        let head = |kind: u8, units: u8| ENTRY | kind << 3 | (units - 1);
        let table = [
            head(ONE_LINE, 1),
            0,
            0, // line 10, offsets 0 and 1
            head(ONE_LINE + 2, 2),
            4,
            9, // line 12, from 2
            head(3, 1),
            0x11,          // the same, from 6
            head(NONE, 1), // no line, from 8
            head(LONG, 1),
            0x40 | 1,
            2,
            0,
            1,
            1, // -64 → 12 - 64 is no line, from 10
            head(NO_COLUMNS, 8),
            0x40,
            2, // +64, from 12
        ];
        let lines: Vec<_> = (0..30).step_by(2).map(|at| line_at(&table, 10, at)).collect();
        let expected = [Some(10), Some(12), Some(12), Some(12), None, None];
        assert_eq!(lines[..6], expected);
        assert_eq!(lines[6..14], [Some(12); 8]);
        assert_eq!(lines[14], None, "behind the end");
    }

    #[test]
    fn lines_may_go_backwards() {
        assert_eq!(line_at(&[0x80 | 13 << 3, 3], 10, 0), Some(9));
        assert_eq!(line_at(&[0x80 | 13 << 3, 21], 10, 0), None, "there is no line 0");
        assert_eq!(line_at(&[], 10, 0), None);
    }

    #[test]
    fn any_bytes_are_decoded_without_panic() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..20_000 {
            let table: Vec<u8> = (0..random() % 64).map(|_| random() as u8).collect();
            let (first, offset) = (random() as u32, random() % 256);
            let _ = line_at(&table, first, offset);
            let _ = line_at(&table, first, u64::MAX);
        }
    }
}

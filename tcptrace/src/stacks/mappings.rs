//! `/proc/PID/maps`: where a process has executable memory, and of which files.

use std::fs::File;
use std::io::Read as _;
use std::mem;
use std::sync::Arc;

use crate::lifecycle::text;

/// A process may have 65530 mappings (`vm.max_map_count`), and a path be 4096 bytes long; what is
/// read of that is enough for any that is not hostile.
const MAPS_BYTES: u64 = 16 << 20;
/// Most executable mappings that are kept.
const MAX_MAPPINGS: usize = 16_384;

/// What an executable mapping shows. Two are equal that show the same file: it may be renamed or
/// deleted while it is mapped.
#[derive(Clone, Debug)]
pub enum Backing {
    /// A file.
    File {
        /// Device as the line has it: major, minor.
        device: (u32, u32),
        /// Inode number.
        inode: u64,
        /// Path as the process's mount namespace has it, without the mark of a deleted file.
        path: Arc<str>,
        /// Whether no name leads to the file any more.
        is_deleted: bool,
    },
    /// Memory without a file.
    Anonymous,
    /// The kernel's vDSO.
    Vdso,
    /// Something else of the kernel's: `[vsyscall]`, `[uprobes]`.
    Special,
}

impl PartialEq for Backing {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::File { device, inode, .. },
                Self::File { device: other_device, inode: other_inode, .. },
            ) => (device, inode) == (other_device, other_inode),
            _ => mem::discriminant(self) == mem::discriminant(other),
        }
    }
}

impl Eq for Backing {}

/// One executable mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// Behind the last address.
    pub end: u64,
    /// Offset in the file of the first address.
    pub offset: u64,
    /// What it shows.
    pub backing: Backing,
}

impl Mapping {
    /// Offset in the file of an address; `None` where it lies outside.
    #[must_use]
    pub fn file_offset(&self, address: u64) -> Option<u64> {
        let inside = (self.start..self.end).contains(&address);
        inside.then(|| (address - self.start).checked_add(self.offset)).flatten()
    }

    /// Whether both show the same code at an address. Code made at run time is told apart by
    /// nothing here.
    #[must_use]
    pub fn has_same_code(&self, other: &Self, address: u64) -> bool {
        self.backing == other.backing
            && (!self.is_file() || self.file_offset(address) == other.file_offset(address))
    }

    /// Whether it shows a file.
    #[must_use]
    pub const fn is_file(&self) -> bool {
        matches!(self.backing, Backing::File { .. })
    }
}

/// Reads the executable mappings of a process, ordered by address; `None` where it has none to
/// read: it is gone, or ending, or not ours to see.
#[must_use]
pub fn read(pid: u32) -> Option<Vec<Mapping>> {
    let mut maps = Vec::new();
    let file = File::open(format!("/proc/{pid}/maps")).ok()?;
    file.take(MAPS_BYTES).read_to_end(&mut maps).ok()?;
    Some(parse(&maps)).filter(|mappings| !mappings.is_empty())
}

/// The executable mappings of a text in the format of `/proc/PID/maps`, ordered by address. Lines
/// that do not fit the format are left out.
#[must_use]
pub fn parse(maps: &[u8]) -> Vec<Mapping> {
    let lines = maps.split(|byte| *byte == b'\n');
    let mut mappings: Vec<Mapping> = lines.filter_map(line).take(MAX_MAPPINGS).collect();
    mappings.sort_by_key(|mapping| mapping.start);
    mappings
}

/// The mapping that an address lies in.
#[must_use]
pub fn find(mappings: &[Mapping], address: u64) -> Option<usize> {
    let index = mappings.partition_point(|mapping| mapping.start <= address).checked_sub(1)?;
    mappings.get(index).filter(|mapping| address < mapping.end).map(|_| index)
}

/// `START-END PERMS OFFSET MAJOR:MINOR INODE   PATH`.
fn line(line: &[u8]) -> Option<Mapping> {
    let mut rest = line;
    let (start, end) = split(field(&mut rest)?, b'-')?;
    let is_executable = field(&mut rest)?.get(2) == Some(&b'x');
    let offset = hexadecimal(field(&mut rest)?)?;
    let (major, minor) = split(field(&mut rest)?, b':')?;
    let device = (u32::try_from(major).ok()?, u32::try_from(minor).ok()?);
    let inode = std::str::from_utf8(field(&mut rest)?).ok()?.parse().ok()?;
    if !is_executable || start >= end {
        return None;
    }
    Some(Mapping { start, end, offset, backing: backing(rest.trim_ascii_start(), device, inode) })
}

fn backing(name: &[u8], device: (u32, u32), inode: u64) -> Backing {
    match name {
        b"[vdso]" => Backing::Vdso,
        b"[vsyscall]" | b"[uprobes]" => Backing::Special,
        _ if inode == 0 => Backing::Anonymous,
        _ => {
            let path = name.strip_suffix(b" (deleted)");
            let is_deleted = path.is_some();
            let path = text::from_bytes(&unescaped(path.unwrap_or(name)));
            Backing::File { device, inode, path: path.into(), is_deleted }
        }
    }
}

/// Takes the next field off a line, up to one blank.
fn field<'a>(line: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let (field, rest) = line.split_at_checked(end)?;
    *line = rest.get(1..).unwrap_or_default();
    (!field.is_empty()).then_some(field)
}

fn split(field: &[u8], by: u8) -> Option<(u64, u64)> {
    let at = field.iter().position(|byte| *byte == by)?;
    Some((hexadecimal(field.get(..at)?)?, hexadecimal(field.get(at + 1..)?)?))
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The kernel writes a newline in a name as `\012`, and nothing else so.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((first, tail)) = rest.split_first() {
        match rest.strip_prefix(b"\\012") {
            Some(behind) => {
                bytes.push(b'\n');
                rest = behind;
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::tests::Random;
    use super::*;

    const MAPS: &[u8] = b"\
55d0c0000000-55d0c0002000 r--p 00000000 fe:01 1234                       /usr/sbin/nginx\n\
55d0c0002000-55d0c0010000 r-xp 00002000 fe:01 1234                       /usr/sbin/nginx\n\
7f0000000000-7f0000001000 r-xp 00000000 00:00 0 \n\
7f0000002000-7f0000003000 rwxp 00001000 00:01 7                          /memfd:a b (deleted)\n\
7f0000004000-7f0000005000 r-xp 00000000 fe:01 9                          /tmp/x\\012y z\n\
7ffc0000a000-7ffc0000c000 r-xp 00000000 00:00 0                          [vdso]\n\
ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n";

    fn path(mapping: &Mapping) -> Option<(&str, bool)> {
        match &mapping.backing {
            Backing::File { path, is_deleted, .. } => Some((path, *is_deleted)),
            _ => None,
        }
    }

    #[test]
    fn executable_mappings_of_each_kind() {
        let mappings = parse(MAPS);
        assert_eq!(mappings.len(), 6);
        assert_eq!(path(&mappings[0]), Some(("/usr/sbin/nginx", false)));
        assert_eq!(mappings[1].backing, Backing::Anonymous);
        assert_eq!(path(&mappings[2]), Some(("/memfd:a b", true)));
        assert_eq!(path(&mappings[3]), Some(("/tmp/x\ny z", false)));
        assert_eq!(mappings[4].backing, Backing::Vdso);
        assert_eq!(mappings[5].backing, Backing::Special);
        assert_eq!(mappings[0].file_offset(0x55d0_c000_2010), Some(0x2010));
        assert_eq!(mappings[0].file_offset(0x55d0_c001_0000), None);
    }

    #[test]
    fn a_file_stays_the_same_under_another_name() {
        let one = |line: &str| parse(line.as_bytes()).remove(0);
        let old = one("1000-3000 r-xp 00001000 08:01 5 /bin/a\n");
        assert_eq!(old, one("1000-3000 r-xp 00001000 08:01 5 /bin/a (deleted)\n"));
        let other = one("1000-3000 r-xp 00001000 08:01 6 /bin/a\n");
        assert!(old != other && !old.has_same_code(&other, 0x1000));
        let part = one("2000-3000 r-xp 00002000 08:01 5 /bin/b\n");
        assert!(old.has_same_code(&part, 0x2000));
        let moved = one("2000-3000 r-xp 00001000 08:01 5 /bin/a\n");
        assert!(!old.has_same_code(&moved, 0x2000));
    }

    #[test]
    fn addresses_are_found_and_gaps_are_not() {
        let mappings = parse(MAPS);
        assert_eq!(find(&mappings, 0x55d0_c000_2000), Some(0));
        assert_eq!(find(&mappings, 0x55d0_c000_1fff), None);
        assert_eq!(find(&mappings, 0x7f00_0000_1000), None);
        assert_eq!(find(&mappings, 0xffff_ffff_ff60_0fff), Some(5));
        assert_eq!(find(&mappings, u64::MAX), None);
        assert_eq!(find(&[], 1), None);
    }

    #[test]
    fn the_mappings_of_this_process_hold_this_function() {
        let mappings = read(std::process::id()).unwrap();
        let own = find(&mappings, parse as *const () as u64).unwrap();
        assert!(mappings[own].is_file());
        assert_eq!(read(4_194_303), None);
    }

    #[test]
    fn damaged_text_is_survived() {
        let mut random = Random(1);
        for _ in 0..20_000 {
            let mut maps = MAPS.to_vec();
            for _ in 0..=random.below(6) {
                let at = random.below(maps.len());
                maps[at] = random.byte();
            }
            maps.truncate(random.below(maps.len() + 1));
            for mapping in parse(&maps) {
                assert!(mapping.start < mapping.end);
                let _ = mapping.file_offset(mapping.end - 1);
            }
        }
    }
}

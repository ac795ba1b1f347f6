//! The few parts of an ELF file that unwinding needs.
//!
//! The file is read and not mapped: its owner may cut it short while we look, and a mapping would
//! then kill this process with SIGBUS. Each read is bounded, since anyone can make a file.

use std::fs::File;

use super::arch::Arch;
use super::bytes::{self, u16_at, u32_at, u64_at};

const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const SECTION_HEADER_BYTES: usize = 64;
/// `\x7fELF`, 64 bit, little endian, version 1.
const IDENT: &[u8] = b"\x7fELF\x02\x01\x01";
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const PT_GNU_EH_FRAME: u32 = 0x6474_e550;
const PF_X: u32 = 1;
const SHT_NOBITS: u32 = 8;
const NT_GNU_BUILD_ID: u32 = 3;

/// Most program headers that are looked at; real files have a dozen.
const MAX_PROGRAM_HEADERS: usize = 1024;
/// Most bytes of section headers, of section names and of notes.
const MAX_TABLE_BYTES: u64 = 4 << 20;
/// Most bytes of an unwind section; the largest browsers have 20 MB.
pub const MAX_SECTION_BYTES: u64 = 64 << 20;
/// Longest build id.
const MAX_BUILD_ID: usize = 64;

/// A range of the file and where it is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Offset in the file.
    pub offset: u64,
    /// Address in the file's own numbering.
    pub address: u64,
    /// Length in bytes.
    pub size: u64,
}

impl Range {
    /// Address of what lies at an offset of the file.
    fn address_of(&self, offset: u64) -> Option<u64> {
        let inside = offset.checked_sub(self.offset).filter(|inside| *inside < self.size)?;
        self.address.checked_add(inside)
    }

    /// What lies from an address to the end of the range.
    fn tail(&self, address: u64) -> Option<Self> {
        let inside = address.checked_sub(self.address).filter(|inside| *inside < self.size)?;
        Some(Self { offset: self.offset.checked_add(inside)?, address, size: self.size - inside })
    }

    /// Reads it; `None` where it is too long or the file ends before it.
    #[must_use]
    pub fn read(&self, file: &File, most_bytes: u64) -> Option<Vec<u8>> {
        bytes::read(file, self.offset, self.size, most_bytes)
    }
}

/// What is known of an ELF file.
#[derive(Clone, Debug, Default)]
pub struct Elf {
    /// What its code is for.
    pub arch: Arch,
    /// GNU build id.
    pub build_id: Option<Vec<u8>>,
    /// Whether the Go toolchain made it, whose code keeps frame pointers.
    pub is_go: bool,
    /// `.eh_frame`.
    pub eh_frame: Option<Range>,
    /// `.eh_frame_hdr`.
    pub eh_frame_hdr: Option<Range>,
    /// `.text`: what some pointers are relative to.
    pub text_address: u64,
    /// Executable segments.
    code: Vec<Range>,
    /// All segments that are loaded.
    loaded: Vec<Range>,
}

impl Elf {
    /// Reads it; `None`: not an ELF file, or for an architecture that is not known here.
    #[must_use]
    pub fn read(file: &File) -> Option<Self> {
        let header = Range { size: HEADER_BYTES as u64, ..Range::default() };
        let header = header.read(file, HEADER_BYTES as u64)?;
        if !header.starts_with(IDENT) {
            return None;
        }
        let mut elf = Self { arch: Arch::of_elf(u16_at(&header, 18)?)?, ..Self::default() };
        elf.read_segments(file, &header)?;
        // A file can do without section headers.
        let _ = elf.read_sections(file, &header);
        Some(elf)
    }

    /// Address, in the file's own numbering, of the code at an offset of the file.
    #[must_use]
    pub fn code_address(&self, offset: u64) -> Option<u64> {
        self.code.iter().find_map(|segment| segment.address_of(offset))
    }

    /// The loaded bytes from an address of the file's own numbering on.
    #[must_use]
    pub fn loaded_from(&self, address: u64) -> Option<Range> {
        self.loaded.iter().find_map(|segment| segment.tail(address))
    }

    fn read_segments(&mut self, file: &File, header: &[u8]) -> Option<()> {
        let count = usize::from(u16_at(header, 56)?);
        if usize::from(u16_at(header, 54)?) != PROGRAM_HEADER_BYTES || count > MAX_PROGRAM_HEADERS {
            return None;
        }
        let size = (count * PROGRAM_HEADER_BYTES) as u64;
        let table = Range { offset: u64_at(header, 32)?, size, ..Range::default() };
        for entry in table.read(file, MAX_TABLE_BYTES)?.chunks_exact(PROGRAM_HEADER_BYTES) {
            self.add_segment(file, entry)?;
        }
        Some(())
    }

    fn add_segment(&mut self, file: &File, entry: &[u8]) -> Option<()> {
        let (offset, address, size) = (u64_at(entry, 8)?, u64_at(entry, 16)?, u64_at(entry, 32)?);
        let range = Range { offset, address, size };
        match u32_at(entry, 0)? {
            PT_LOAD => {
                self.loaded.push(range);
                if u32_at(entry, 4)? & PF_X != 0 {
                    self.code.push(range);
                }
            }
            PT_GNU_EH_FRAME => self.eh_frame_hdr = Some(range),
            PT_NOTE if self.build_id.is_none() => {
                self.build_id = range.read(file, MAX_TABLE_BYTES).as_deref().and_then(build_id);
            }
            _ => {}
        }
        Some(())
    }

    fn read_sections(&mut self, file: &File, header: &[u8]) -> Option<()> {
        if usize::from(u16_at(header, 58)?) != SECTION_HEADER_BYTES {
            return None;
        }
        let size = u64::from(u16_at(header, 60)?) * SECTION_HEADER_BYTES as u64;
        let table = Range { offset: u64_at(header, 40)?, size, ..Range::default() };
        let table = table.read(file, MAX_TABLE_BYTES)?;
        let names_index = usize::from(u16_at(header, 62)?);
        let names = section(table.chunks_exact(SECTION_HEADER_BYTES).nth(names_index)?)?;
        let names = names.read(file, MAX_TABLE_BYTES)?;
        for entry in table.chunks_exact(SECTION_HEADER_BYTES) {
            self.add_section(file, entry, &names)?;
        }
        Some(())
    }

    fn add_section(&mut self, file: &File, entry: &[u8], names: &[u8]) -> Option<()> {
        let name = names.get(u32_at(entry, 0)? as usize..).unwrap_or_default();
        let name = name.split(|byte| *byte == 0).next().unwrap_or_default();
        let range = section(entry)?;
        let has_bytes = u32_at(entry, 4)? != SHT_NOBITS;
        match name {
            b".eh_frame" if has_bytes => self.eh_frame = Some(range),
            b".eh_frame_hdr" if has_bytes => self.eh_frame_hdr = Some(range),
            b".text" => self.text_address = range.address,
            b".gopclntab" | b".data.rel.ro.gopclntab" | b".note.go.buildid" => self.is_go = true,
            b".note.gnu.build-id" if has_bytes && self.build_id.is_none() => {
                self.build_id = range.read(file, MAX_TABLE_BYTES).as_deref().and_then(build_id);
            }
            _ => {}
        }
        Some(())
    }
}

fn section(entry: &[u8]) -> Option<Range> {
    let (offset, address, size) = (u64_at(entry, 24)?, u64_at(entry, 16)?, u64_at(entry, 32)?);
    Some(Range { offset, address, size })
}

/// The build id among notes: name size, description size, type, name and description, each padded
/// to 4 bytes.
fn build_id(mut notes: &[u8]) -> Option<Vec<u8>> {
    loop {
        let (name_size, size) = (u32_at(notes, 0)? as usize, u32_at(notes, 4)? as usize);
        let is_build_id = u32_at(notes, 8)? == NT_GNU_BUILD_ID;
        let name = notes.get(12..)?.get(..name_size)?;
        let behind_name = notes.get(12..)?.get(name_size.next_multiple_of(4)..)?;
        let id = behind_name.get(..size)?;
        if is_build_id && name == b"GNU\0" && (1..=MAX_BUILD_ID).contains(&size) {
            return Some(id.to_vec());
        }
        notes = behind_name.get(size.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_has_code_and_unwind_information() {
        let file = File::open("/proc/self/exe").unwrap();
        let elf = Elf::read(&file).unwrap();
        assert!(elf.eh_frame.is_some() && elf.eh_frame_hdr.is_some() && !elf.is_go);
        assert!(elf.text_address > 0);
        let code = elf.code[0];
        assert_eq!(elf.code_address(code.offset + 5), Some(code.address + 5));
        assert_eq!(elf.code_address(code.offset + code.size), None);
    }

    #[test]
    fn what_is_no_elf_file_is_none() {
        for path in ["/etc/passwd", "/dev/null"] {
            assert!(Elf::read(&File::open(path).unwrap()).is_none(), "{path}");
        }
    }

    #[test]
    fn a_build_id_stands_among_other_notes() {
        let note = |kind: u8, name: &[u8], id: &[u8]| {
            let mut note = vec![name.len() as u8, 0, 0, 0, id.len() as u8, 0, 0, 0, kind, 0, 0, 0];
            note.extend_from_slice(name);
            note.resize(note.len().next_multiple_of(4), 0);
            note.extend_from_slice(id);
            note.resize(note.len().next_multiple_of(4), 0);
            note
        };
        let notes = [note(5, b"GNU\0", b"x"), note(3, b"Go\0", b"yy"), note(3, b"GNU\0", b"abcde")];
        assert_eq!(build_id(&notes.concat()), Some(b"abcde".to_vec()));
        assert_eq!(build_id(&note(3, b"GNU\0", b"")), None);
        assert_eq!(build_id(b"\xff\xff\xff\xff\xff\xff\xff\xff\x03\0\0\0"), None);
    }
}

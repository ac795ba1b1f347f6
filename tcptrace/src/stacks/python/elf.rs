//! Where a loaded ELF file's dynamic symbols lie in memory.
//!
//! Only the parts that are needed are read, with a limit on each: the file belongs to a
//! stranger, who may also change it meanwhile. Format: System V gABI, chapters 4 and 5.

use std::fs::File;

use crate::stacks::bytes::{read, u16_at, u32_at, u64_at};

/// Far more than any real table has.
const MAX_TABLE_BYTES: u64 = 32 << 20;
const PAGE_MASK: u64 = !4095;

const HEADER_BYTES: u64 = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const SECTION_HEADER_BYTES: usize = 64;
const SYMBOL_BYTES: usize = 24;
/// 64-bit, little-endian.
const MAGIC: &[u8] = b"\x7fELF\x02\x01";
const PT_LOAD: u32 = 1;
const SHT_DYNSYM: u32 = 11;
const SHN_UNDEF: u16 = 0;

/// An ELF file of which one part is mapped.
#[derive(Debug)]
pub struct Elf<'a> {
    file: &'a File,
    header: Vec<u8>,
}

impl<'a> Elf<'a> {
    /// `None`: not a 64-bit ELF file.
    pub fn open(file: &'a File) -> Option<Self> {
        let header = read(file, 0, HEADER_BYTES, MAX_TABLE_BYTES)?;
        header.starts_with(MAGIC).then_some(Self { file, header })
    }

    /// What is added to the file's addresses in a process that has mapped `offset` of the file
    /// at `start`.
    pub fn bias(&self, start: u64, offset: u64) -> Option<u64> {
        let headers = self.table(32, 54, PROGRAM_HEADER_BYTES)?;
        headers.chunks_exact(PROGRAM_HEADER_BYTES).find_map(|header| {
            let (at, address, size) =
                (u64_at(header, 8)?, u64_at(header, 16)?, u64_at(header, 32)?);
            let is_here = u32_at(header, 0)? == PT_LOAD
                && at & PAGE_MASK <= offset
                && offset < at.saturating_add(size);
            let mapped = offset.wrapping_sub(at).wrapping_add(address);
            is_here.then(|| start.wrapping_sub(mapped))
        })
    }

    /// Addresses of the symbols that the file defines for others.
    pub fn symbols<const N: usize>(&self, names: [&str; N]) -> [Option<u64>; N] {
        self.look_up(names).unwrap_or([None; N])
    }

    fn look_up<const N: usize>(&self, names: [&str; N]) -> Option<[Option<u64>; N]> {
        let sections = self.table(40, 58, SECTION_HEADER_BYTES)?;
        let mut headers = sections.chunks_exact(SECTION_HEADER_BYTES);
        let symbols = headers.clone().find(|header| u32_at(header, 4) == Some(SHT_DYNSYM))?;
        let names_section = usize::try_from(u32_at(symbols, 40)?).ok()?;
        let strings = self.section(headers.nth(names_section)?)?;
        let mut found = [None; N];
        for symbol in self.section(symbols)?.chunks_exact(SYMBOL_BYTES) {
            let Some((name, value)) = defined(symbol, &strings) else { continue };
            if let Some(index) = names.iter().position(|wanted| is_named(name, wanted)) {
                found[index] = Some(value);
            }
        }
        Some(found)
    }

    fn section(&self, header: &[u8]) -> Option<Vec<u8>> {
        read(self.file, u64_at(header, 24)?, u64_at(header, 32)?, MAX_TABLE_BYTES)
    }

    /// A table of headers: where the ELF header has its offset, and its entries' size and number.
    fn table(&self, offset_at: usize, size_at: usize, entry_size: usize) -> Option<Vec<u8>> {
        let size = u16_at(&self.header, size_at)?;
        let count = u16_at(&self.header, size_at + 2)?;
        if usize::from(size) != entry_size {
            return None;
        }
        let size = u64::from(size) * u64::from(count);
        read(self.file, u64_at(&self.header, offset_at)?, size, MAX_TABLE_BYTES)
    }
}

/// Name, with all that follows it in the table, and value of a symbol that is not imported.
fn defined<'a>(symbol: &[u8], strings: &'a [u8]) -> Option<(&'a [u8], u64)> {
    let name = strings.get(usize::try_from(u32_at(symbol, 0)?).ok()?..)?;
    (u16_at(symbol, 6)? != SHN_UNDEF).then_some((name, u64_at(symbol, 8)?))
}

fn is_named(name: &[u8], wanted: &str) -> bool {
    name.strip_prefix(wanted.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// The C library of this very process: its symbols' real addresses are known.
    fn libc() -> (String, u64, u64) {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let line = maps.lines().find(|line| line.contains("libc.so.6")).unwrap();
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        let start = number(fields[0].split('-').next().unwrap());
        (fields[5].to_owned(), start, number(fields[2]))
    }

    #[test]
    fn symbols_lie_where_the_linker_says() {
        let (path, start, offset) = libc();
        let file = File::open(path).unwrap();
        let elf = Elf::open(&file).unwrap();
        let [found, absent] = elf.symbols(["getppid", "no_such_symbol_at_all"]);
        let address = elf.bias(start, offset).unwrap().wrapping_add(found.unwrap());
        assert_eq!(address, (libc::getppid as *const ()).addr() as u64);
        assert_eq!(absent, None);
    }

    #[test]
    fn damaged_files_never_panic() {
        let mut whole = std::fs::read(libc().0).unwrap();
        let headers = whole.len() - usize::from(u16_at(&whole, 60).unwrap()) * 64 - 64;
        let path = std::env::temp_dir().join(format!("tcptrace-elf-{}", std::process::id()));
        let damage = (0..64).chain((64..400).step_by(7)).chain((headers..whole.len()).step_by(31));
        for at in damage {
            whole[at] ^= 0xff;
            let mut file = File::create(&path).unwrap();
            file.write_all(&whole).unwrap();
            let file = File::open(&path).unwrap();
            if let Some(elf) = Elf::open(&file) {
                let _ = (elf.symbols(["getppid"]), elf.bias(1 << 40, 0));
            }
            whole[at] ^= 0xff;
        }
        std::fs::remove_file(path).unwrap();
    }
}

//! Program files: ELF, unwind tables, expressions in them.

use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};

use gimli::{EndianSlice, Expression, LittleEndian, UnwindContext};
use rustix::fs::{MemfdFlags, memfd_create};
use tcptrace::stacks::elf::Elf;
use tcptrace::stacks::expression::evaluate;
use tcptrace::stacks::rules::{Query, SIGRETURN_BYTES, compile};
use tcptrace::stacks::tables::Tables;

/// Addresses whose rules are asked for.
const PLACES: u64 = 64;

/// A file that has these bytes.
pub fn file(bytes: &[u8]) -> File {
    let descriptor = memfd_create("fuzz", MemfdFlags::CLOEXEC).expect("a file in memory");
    let mut file = File::from(descriptor);
    file.write_all(bytes).expect("memory takes everything");
    file.seek(SeekFrom::Start(0)).expect("a file in memory can be read anew");
    file
}

/// An ELF file becomes rules.
pub fn elf(bytes: &[u8]) {
    let file = file(bytes);
    let Some(elf) = Elf::read(&file) else { return };
    let tables = Tables::read(&file, &elf);
    let mut context = UnwindContext::new();
    let length = bytes.len() as u64;
    for place in 0..PLACES {
        let offset = length / PLACES * place;
        let address = elf.code_address(offset).unwrap_or(offset);
        let query = Query {
            pc: address.wrapping_add(1 << 40),
            address,
            is_leaf: place % 2 == 0,
            arch: elf.arch,
            is_go: elf.is_go,
            code: [0; SIGRETURN_BYTES],
        };
        let _ = compile(tables.as_ref(), &mut context, &query);
    }
}

/// The bytes of a DWARF expression.
pub fn expression(bytes: &[u8]) {
    let _ = evaluate(Expression(EndianSlice::new(bytes, LittleEndian)), 0x1234_5678);
}
